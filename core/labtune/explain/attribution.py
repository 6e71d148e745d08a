"""How much each piece of a record carries to one score: along gradients, or by changing it and looking."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labtune.encoder.extras import require
from labtune.encoder.fading import FADE
from labtune.errors import SettingsError
from labtune.explain.pieces import pieces, substitutes
from labtune.explain.scoring import Scorer
from labtune.specs import Record

STEPS = 50  # points on the way from the blank record


@dataclass(frozen=True, eq=False)
class Explanation:
    """What one score of a record is made of.

    Parameters
    ----------
    id, output
        The record, and the output whose score it is.
    score
        See :class:`labtune.explain.scoring.Scorer`.
    pieces
        The T parts of the input.
    attributions
        ``(T,)``, in units of the score; positive where a part raises it.
    symbols
        The A symbols that were tried; none along gradients.
    effects
        ``(T, A)``: the change of the score with a symbol in place of a part, 0 for the part itself; None along
        gradients.
    gap
        What the attributions fail to add up to, as a share of the score's distance from a blank record's; None where
        they need not.
    """

    id: str
    output: str
    score: float
    pieces: tuple[str, ...]
    attributions: NDArray[np.float64]
    symbols: tuple[str, ...] = ()
    effects: NDArray[np.float64] | None = None
    gap: float | None = None


def by_gradients(scorer: Scorer, record: Record, wanted: str | None, steps: int = STEPS) -> list[Explanation]:
    """Explain by integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365, equation 1).

    The way leads from a record of blank tokens to the record, and attributions add up to the difference of the scores.

    Parameters
    ----------
    scorer
        The model.
    record
        The record.
    wanted
        Name of an output, or None; see :meth:`Scorer.chosen`.
    steps
        Points on the way, at which gradients are taken.

    Raises
    ------
    SettingsError
        If captum is not installed, or the encoder's tokens cannot fade.
    """
    captum = require("captum.attr", "explain", "--method gradients")
    if not scorer.model.encoder.fades:
        raise SettingsError("this run's encoder gives no gradients by token: use --method substitution")
    batch = scorer.tokenise([record])
    inner = slice(batch.prefix, len(batch.tokens.values) - batch.suffix)
    texts = tuple(pieces(scorer.tokenizer, batch, 0))
    scores = scorer.score_batch(batch)[0]

    def explain(output: int) -> Explanation:
        if not texts:
            return Explanation(record.id, scorer.names[output], float(scores[output]), (), np.empty(0), gap=0.0)

        def score(fade: Tensor) -> Tensor:
            """Score ``(K,)`` with the tokens between the special ones faded by ``(K, T)``."""
            many = batch.select([0] * len(fade))
            whole = fade.new_zeros((len(fade), len(batch.tokens.values)))
            whole[:, inner] = fade
            inputs = {**many.inputs, FADE: many.tokens.with_values(whole.flatten())}
            return scorer.score(replace(many, inputs=inputs))[:, output]

        here = torch.zeros((1, len(texts)), device=scorer.device)
        found: tuple[Any, Any] = captum.IntegratedGradients(score).attribute(
            here,
            baselines=torch.ones_like(here),
            n_steps=steps,
            internal_batch_size=max(1, scorer.batch_tokens // len(batch.tokens.values)),
            return_convergence_delta=True,
        )
        attributions = found[0][0].detach().double().cpu().numpy()
        way = attributions.sum() - float(found[1])
        gap = abs(float(found[1])) / max(abs(way), 1e-9)
        return Explanation(record.id, scorer.names[output], float(scores[output]), texts, attributions, gap=gap)

    return [explain(output) for output in scorer.chosen(scores, wanted)]


def by_substitution(scorer: Scorer, record: Record, wanted: str | None) -> list[Explanation]:
    """Explain by replacing one piece at a time and predicting again.

    A piece's attribution is how much the score falls on average over the symbols that can stand in its place.

    Parameters
    ----------
    scorer, record, wanted
        As for :func:`by_gradients`.

    Raises
    ------
    SettingsError
        If the tokenizer offers nothing to replace pieces by.
    """
    changed = substitutes(scorer, record)
    scores = scorer.score_records([record])[0]
    nothing = np.empty((0, len(scores)))
    found = np.concatenate([nothing, *(scorer.score_batch(batch) for batch in changed.batches)])  # (K, L)
    places, symbols = np.array(changed.places, dtype=np.int64).reshape(-1, 2).T

    def explain(output: int) -> Explanation:
        effects = np.zeros((len(changed.pieces), len(changed.symbols)))
        effects[places, symbols] = found[:, output] - scores[output]
        tried = np.bincount(places, minlength=len(effects))
        return Explanation(
            record.id,
            scorer.names[output],
            float(scores[output]),
            tuple(changed.pieces),
            -effects.sum(1) / tried,
            changed.symbols,
            effects,
        )

    return [explain(output) for output in scorer.chosen(scores, wanted)]
