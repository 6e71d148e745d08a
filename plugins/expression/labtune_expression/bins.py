"""Numbers as shares of bins: a network that sorts records into levels learns from fewer of them than one that aims.

Each target counts for its own bin and, less and less, for those around it (soft labels, as in Diaz and Marathe 2019,
doi:10.1109/CVPR.2019.00487); the prediction is the average of the bins' centres by their shares.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from labtune.errors import SettingsError

CENTERS = "centers"
OUTERMOST = 0.002  # share of training targets beyond the outermost centres, on either side


class Bins(nn.Module):
    """Evenly spaced levels over the range of the training targets.

    Parameters
    ----------
    outputs
        L, numbers a record.
    count
        K, levels.
    """

    centers: Tensor

    def __init__(self, outputs: int, count: int) -> None:
        super().__init__()
        if count < 2:
            raise SettingsError(f"head.bins is {count}; 2 is the least, and 0 makes none")
        self.register_buffer(CENTERS, torch.linspace(-2, 2, count).repeat(outputs, 1))

    def fit(self, scores: Tensor) -> None:
        """Span the transformed training targets ``(B, L)``, NaN where there is none."""
        for column, centers in zip(scores.T.double(), self.centers, strict=True):
            low, high = torch.quantile(column[~column.isnan()], torch.tensor([OUTERMOST, 1 - OUTERMOST]).double())
            centers.copy_(torch.linspace(float(low), float(torch.maximum(high, low + 1e-3)), len(centers)))

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(…, L, K)`` to log shares alike, and the averages ``(…, L)``."""
        log_shares = logits.log_softmax(-1)
        return log_shares, (log_shares.exp() * self.centers).sum(-1)


def softened(scores: Tensor, centers: Tensor) -> Tensor:
    """Shares ``(…, L, K)`` of the bins for targets ``(…, L)``: a normal curve as wide as a bin."""
    width = centers[:, 1:2] - centers[:, :1]  # (L, 1)
    inside = scores.clamp(centers[:, 0], centers[:, -1])
    return (-0.5 * ((inside[..., None] - centers) / width) ** 2).softmax(-1)


def variance(log_shares: Tensor, centers: Tensor) -> Tensor:
    """Variance ``(…, L)`` of what lies in the bins by their shares ``(…, L, K)``."""
    shares = log_shares.exp()
    mean = (shares * centers).sum(-1, keepdim=True)
    return (shares * (centers - mean) ** 2).sum(-1)
