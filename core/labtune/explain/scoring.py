"""The number that is explained: a score of each output of a record, which a prediction follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labtune.data.batching import token_batches
from labtune.deploy.predictor import Predictor
from labtune.errors import SettingsError, nearest
from labtune.protocols import Batch, Output
from labtune.specs import Labels, Record

KINDS = ("classes", "multilabel", "values")


class Scorer:
    """Scores the outputs of a model that predicts once for a record, in full precision.

    The score is the logarithm of a class's probability, the log odds of one of several labels, or the number itself; a
    head whose logits are something else gives it as ``explained(output)``, ``(B, L)``.

    Parameters
    ----------
    predictor
        The model.

    Raises
    ------
    SettingsError
        If the task predicts for the units of a record.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.parts = predictor.parts
        self.labels: Labels = predictor.parts.labels
        self.tokenizer: Any = predictor.parts.tokenizer
        self.model: Any = getattr(predictor.parts.model, "module", predictor.parts.model)
        self.device = predictor.device
        self.batch_tokens = predictor.settings.batch_tokens
        if self.labels.kind not in KINDS:
            raise SettingsError(
                f"{self.parts.task.name} predicts for parts of a record; only whole records are explained"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return self.labels.names

    def tokenise(self, records: Sequence[Record]) -> Batch:
        """Tokenise records without their targets, on the model's device."""
        batch: Batch = self.tokenizer([replace(record, target=None) for record in records])
        return batch.to(self.device)

    def score(self, batch: Batch) -> Tensor:
        """Scores ``(B, L)`` with a gradient."""
        output: Output = self.model.head(self.model.encode(batch), batch)  # not its forward, which may run in 16 bits
        if len(output.logits.values) != len(batch) or batch.units is not None:
            raise SettingsError(
                f"{self.parts.task.name} predicts for parts of a record; only whole records are explained"
            )
        own: Any = getattr(self.model.head, "explained", None)
        if own is not None:
            return own(output)  # type: ignore[no-any-return]  # a plugin's own
        logits = output.logits.values
        return logits.log_softmax(-1) if self.labels.kind == "classes" else logits

    def score_batch(self, batch: Batch) -> NDArray[np.float64]:
        """Scores ``(B, L)`` of a tokenised batch of any size."""
        found = np.empty((len(batch), len(self.names)))
        for rows in token_batches(range(len(batch)), batch.tokens.lengths.numpy(), self.batch_tokens):
            with torch.inference_mode():
                found[rows] = self.score(batch.select(rows)).double().cpu().numpy()
        return found

    def score_records(self, records: Sequence[Record]) -> NDArray[np.float64]:
        """Scores ``(B, L)`` of records."""
        return self.score_batch(self.tokenise(records))

    def chosen(self, scores: NDArray[np.float64], wanted: str | None) -> Iterator[int]:
        """Which outputs of a record with scores ``(L,)`` are explained.

        Parameters
        ----------
        scores
            Of the record.
        wanted
            The name of an output; None for every number, or the class or label with the best score.

        Raises
        ------
        SettingsError
            If there is no such output.
        """
        if wanted is not None:
            if wanted not in self.names:
                raise SettingsError(f"the run has no output {wanted!r}. {nearest(wanted, self.names)}")
            yield self.names.index(wanted)
        elif self.labels.kind == "values":
            yield from range(len(self.names))
        else:
            yield int(scores.argmax())
