"""A plugin of its own for the recipe: contacts as chances instead of certainties.

Its task is ``protein.contact`` with another tokenizer and loss: a record that brings the log-odds of its pairs in a
column ``odds`` is learned from as they say; any other from its contacts.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from labtune import hookimpl
from labtune.protocols import IGNORED, Batch, Output
from labtune.specs import Component, Labels, Record, Task
from labtune_protein.contacts import CONTACT, SEPARATION
from labtune_protein.pairs.tokenizing import PairTokenizer
from labtune_protein.tasks import TASKS

TASK = "families.contact"


@hookimpl
def labtune_tokenizers() -> list[Component]:
    """Offer the tokenizer."""
    return [Component(name="families.pairs", target="soft_pairs:SoftPairTokenizer", summary="One chance a pair.")]


@hookimpl
def labtune_losses() -> list[Component]:
    """Offer the loss."""
    return [Component(name="families.pairs", target="soft_pairs:SoftPairLoss", summary="Cross-entropy of chances.")]


@hookimpl
def labtune_tasks() -> list[Task]:
    """Offer the task."""
    contact = next(task for task in TASKS if task.name == "protein.contact")
    parts = {"tokenizer": "families.pairs", "loss": "families.pairs", "labels": Labels(kind="spans", names=(CONTACT,))}
    return [replace(contact, name=TASK, views=(), baseline="", slices={}, **parts)]


class SoftPairTokenizer(PairTokenizer):
    """Targets are chances of contact, NaN for pairs that are not judged: ``(P,)`` float16."""

    def _encode(self, record: Record) -> Tensor:
        if "odds" not in record.columns:
            classes = super()._encode(record)
            return torch.where(classes == IGNORED, torch.nan, (classes == 0).half())
        chances = torch.from_numpy(unpacked(record.columns["odds"])).float().sigmoid()
        rows, columns = np.triu_indices(len(record.input), 1)
        chances[torch.from_numpy(columns - rows < SEPARATION)] = torch.nan
        return chances.half()


class SoftPairLoss:
    """Cross-entropy of contact against chances, averaged over the pairs that are judged."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels

    def __call__(self, output: Output, batch: Batch) -> Tensor:
        """Scalar loss of logits ``(P, 2)``."""
        targets, judged = _targets(batch)
        odds = (output.logits.values[:, 0] - output.logits.values[:, 1])[judged]
        total = F.binary_cross_entropy_with_logits(odds, targets[judged].float(), reduction="sum")
        return total / max(int(judged.sum()), 1)

    def count(self, batch: Batch) -> int:
        """Pairs that are judged."""
        return int(_targets(batch)[1].sum())


def packed(odds: np.ndarray) -> str:
    """Log-odds ``(L, L)`` as text: the pairs i < j row by row, as float16 in base64."""
    upper = odds[np.triu_indices(len(odds), 1)].astype("<f2")
    return b64encode(upper.tobytes()).decode()


def unpacked(text: str) -> np.ndarray:
    """What :func:`packed` made a text of: ``(P,)``."""
    return np.frombuffer(b64decode(text), "<f2").copy()


def _targets(batch: Batch) -> tuple[Tensor, Tensor]:
    if batch.targets is None:
        raise ValueError("a loss needs targets, and these records are unlabelled")
    values = batch.targets.values
    return values, ~values.isnan()
