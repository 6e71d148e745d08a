"""The time of a training, from a few of its steps measured on this machine.

A large encoder is tried with one and with two blocks, new weights and everything else as in training; what a block
takes is the difference, and the others take as long.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from accelerate import Accelerator

from labtune.catalog import Catalog
from labtune.data.batching import epoch_steps
from labtune.encoder.methods.rates import learning_rates
from labtune.encoder.outline import outline_encoder
from labtune.inference import predict
from labtune.parts import Parts, build_parts, fit_parts
from labtune.protocols import Batch
from labtune.settings import Settings
from labtune.specs import Labels
from labtune.training.frozen import embedded, is_frozen
from labtune.training.journal import Journal
from labtune.training.optimisation import build_optimizer
from labtune.training.steps import StepRunner
from labtune.training.training import Training

WHOLE = 30_000_000  # weights up to which an encoder is tried whole
WORK = 2e11  # weights of a block times tokens of a try: about a second on a small processor
REPEATS = 3


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds of a training.

    Parameters
    ----------
    epoch
        One epoch, validation included.
    total
        All epochs, and the predictions at the end.
    how
        What was measured, in words.
    """

    epoch: float
    total: float
    how: str


@dataclass(frozen=True, slots=True)
class _Rates:
    """Seconds a token: of a learning step, and of a prediction."""

    learn: float
    predict: float


def estimate(
    tokenised: Mapping[str, Batch],
    labels: Labels,
    settings: Settings,
    catalog: Catalog,
    accelerator: Accelerator,
    *,
    blocks: int,
    weights: int,
) -> Duration:
    """Estimate how long a training will take.

    Parameters
    ----------
    tokenised
        ``train``, and what is predicted.
    labels
        With their names.
    settings, catalog
        Of the training.
    accelerator
        Device and precision.
    blocks, weights
        Blocks of the encoder, 0 where it names none, and its number of weights.
    """
    if blocks <= 2 or weights <= WHOLE or "top_blocks" in settings.tuning:
        rates, how = _try(tokenised["train"], labels, settings, catalog, accelerator, None, weights), "the encoder"
    else:
        one, two = (
            _try(tokenised["train"], labels, settings, catalog, accelerator, depth, weights // blocks)
            for depth in (1, 2)
        )
        learn, ask = (low + (blocks - 1) * max(high - low, 0.0) for low, high in _pairs(one, two))
        rates = _Rates(one.learn if settings.method == "head" else learn, ask)  # a head learns from what blocks left
        how = f"one and two of its {blocks} blocks"
    return _add_up(rates, tokenised, settings, f"measured on a few steps of {how}")


def _pairs(one: _Rates, two: _Rates) -> tuple[tuple[float, float], tuple[float, float]]:
    return (one.learn, two.learn), (one.predict, two.predict)


def _add_up(rates: _Rates, tokenised: Mapping[str, Batch], settings: Settings, how: str) -> Duration:
    tokens = {part: len(data.tokens.values) for part, data in tokenised.items()}
    train, valid, test = (tokens.get(part, 0) for part in ("train", "valid", "test"))
    frozen = settings.method == "head"
    learning = train * rates.learn
    validation = 0.0 if frozen else valid * rates.predict  # hidden states are stored
    epoch = learning + validation
    once = (train + valid) * rates.predict if frozen else 0.0
    # At the end validation data are read twice, for calibration and for their scores.
    total = once + settings.epochs * epoch + (2 * valid + test) * rates.predict
    return Duration(epoch, total, how)


def _try(
    train: Batch,
    labels: Labels,
    settings: Settings,
    catalog: Catalog,
    accelerator: Accelerator,
    depth: int | None,
    weights: int,
) -> _Rates:
    """Train and predict a little."""
    encoder = outline_encoder(settings, catalog, blocks=depth)
    parts = build_parts(settings, catalog, labels, encoder=encoder)
    fit_parts(parts, train)
    rows = _some(train, settings, weights)
    data = train.select([int(row) for row in rows])
    tokens = len(data.tokens.values)
    with tempfile.TemporaryDirectory() as folder:
        training = _training(parts, data, settings, Path(folder))
        predicted = _seconds(lambda: _predict(parts, data, settings, accelerator))
        with embedded(training, accelerator) if is_frozen(parts.model) else nullcontext(training) as ready:
            model = ready.model.to(accelerator.device)
            optimizer = build_optimizer(model.trainable(), settings, training.rates)
            wrapped, prepared = accelerator.prepare(model, optimizer)
            runner = StepRunner(ready, accelerator, wrapped, prepared, settings.batch_tokens)
            journal = Journal(None, total=None)
            learned = _seconds(lambda: runner(np.arange(len(data)), 0, journal))
    return _Rates(learned / tokens, predicted / tokens)


def _some(train: Batch, settings: Settings, weights: int) -> np.ndarray:
    """Rows of a usual step, fewer where the encoder is large."""
    rows = epoch_steps(len(train), settings.batch_size, seed=settings.seed, epoch=0)[0]
    tokens = np.cumsum(train.tokens.lengths.numpy()[rows])
    return rows[: max(1, int((tokens <= max(WORK / max(weights, 1), 1)).sum()))]


def _training(parts: Parts, data: Batch, settings: Settings, folder: Path) -> Training:
    return Training(
        model=parts.model,
        loss=parts.loss,
        metric=parts.metrics[0],
        train=data,
        valid=None,
        settings=settings,
        rates=learning_rates(parts.model.encoder, parts.model.trainable(), settings),
        checkpoints=folder,
        log=folder / "log.jsonl",
    )


def _predict(parts: Parts, data: Batch, settings: Settings, accelerator: Accelerator) -> None:
    with accelerator.autocast():
        predict(parts.model, data, batch_tokens=settings.batch_tokens, device=accelerator.device)


def _seconds(work: Callable[[], object]) -> float:
    """The middle one of a few times, after one that is not counted."""
    work()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return median(times)
