"""Cross-entropy of pairs."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from labtune.protocols import IGNORED, Batch, Output
from labtune.specs import Labels


class PairCrossEntropy:
    """Cross-entropy over distance bins, averaged over the pairs that are judged.

    Parameters
    ----------
    labels
        The bins.
    """

    def __init__(self, labels: Labels) -> None:
        self.labels = labels

    def __call__(self, output: Output, batch: Batch) -> Tensor:
        """Scalar loss of logits ``(P, K + 1)``."""
        total = F.cross_entropy(output.logits.values, _targets(batch).long(), ignore_index=IGNORED, reduction="sum")
        return total / max(self.count(batch), 1)

    def count(self, batch: Batch) -> int:
        """Pairs that are judged."""
        return int((_targets(batch) != IGNORED).sum())


def _targets(batch: Batch) -> Tensor:
    if batch.targets is None:
        raise ValueError("a loss needs targets, and these records are unlabelled")
    return batch.targets.values
