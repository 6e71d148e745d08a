"""At what rate each parameter learns, when the settings do not say: by method, and by the encoder's size.

For models of a hundred million parameters and more the rates are published ones: all weights 2e-5 and LoRA 3e-4
(Schmirler et al. 2024), adapters 3e-4 (Houlsby et al. 2019), (IA)3 3e-3 (Liu et al. 2022), biases up to 1e-3 (Ben Zaken
et al. 2022). Narrow encoders take higher ones, the best of short sweeps with MiniLM on validation data of two tasks
(``benchmarks/quality/learning_rates.py``); all weights take less than the best, 3e-4, for short runs favour high rates,
and there a rate too high costs what pre-training learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labtune.encoder.base import Encoder
from labtune.encoder.methods import method_of
from labtune.encoder.structure import depths
from labtune.settings import Settings

NARROW = 512  # C up to which an encoder counts as narrow: MiniLM, ESM-2 up to 35 million parameters
HEAD_RATE = 1e-3
HEAD = "head."


@dataclass(frozen=True, slots=True)
class Course:
    """How fast one parameter learns.

    Parameters
    ----------
    peak
        The learning rate after the warm-up.
    start
        The epoch, from 0, in which it begins to learn.
    """

    peak: float
    start: int = 0


# Method: for narrow encoders, for the others.
DEFAULTS: Mapping[str, tuple[float, float]] = {
    "full": (2e-4, 2e-5),
    "lora": (3e-3, 3e-4),
    "dora": (3e-3, 3e-4),
    "ia3": (3e-2, 3e-3),
    "adapter": (3e-3, 3e-4),
    "prompt": (3e-2, 1e-2),
    "bitfit": (1e-2, 1e-3),
    "head": (1e-2, 1e-3),
}


def learning_rates(encoder: Encoder, names: Iterable[str], settings: Settings) -> dict[str, Course]:
    """Give every parameter that learns its course.

    Parameters
    ----------
    encoder
        After the method was applied.
    names
        Of the model's parameters, ``encoder.…`` or ``head.…``.
    settings
        ``learning_rate`` and ``head_learning_rate`` are taken where they are set; the head learns no slower than the
        encoder, by default.
    """
    method = method_of(settings)
    peak = (
        settings.learning_rate if settings.learning_rate is not None else default_rate(settings.method, encoder.width)
    )
    given = settings.head_learning_rate
    head = Course(given if given is not None else max(peak, HEAD_RATE))
    layered = method.layer_decay < 1 or method.gradual
    above = depths(encoder, "tuning.layer_decay and tuning.gradual") if layered else {}
    stages = len(encoder.blocks) + 1

    def course(name: str) -> Course:
        depth = above.get(name, 0)
        return Course(peak * method.layer_decay**depth, depth * settings.epochs // stages if method.gradual else 0)

    return {name: head if name.startswith(HEAD) else course(name.partition(".")[2]) for name in names}


def default_rate(method: str, width: int) -> float:
    """Return a method's default learning rate for an encoder of a width."""
    narrow, wide = DEFAULTS[method]
    return narrow if width <= NARROW else wide
