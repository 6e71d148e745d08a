"""Attention over a flat batch: every record attends to itself alone, without padding and without masks.

transformers' own routes for flat batches need FlashAttention on a GPU; its other attention functions ignore record
boundaries and let records read each other. So labtune registers a function of its own, which is given the boundaries as
the keyword argument ``packing``. It applies no dropout to attention probabilities, on any device: fused kernels have
none, and results must not depend on the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface

from labtune.ragged import Ragged, offsets_of

PACKED = "labtune_packed"


@dataclass(frozen=True, eq=False)
class Group:
    """Neighbouring records of one length."""

    start: int
    count: int
    length: int

    @property
    def stop(self) -> int:
        """Flat position after the last record."""
        return self.start + self.count * self.length


@dataclass(frozen=True, eq=False)
class Packing:
    """How a batch lies in memory while it is in the encoder: its records sorted by length.

    Parameters
    ----------
    order
        ``(B,)``: which record of the batch comes where.
    tokens
        The boundaries of the sorted records.
    """

    order: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, ragged: Ragged) -> Packing:
        """Plan the packing of a batch."""
        lengths, order = ragged.lengths.sort(stable=True)
        return cls(order, lengths)

    def groups(self) -> list[Group]:
        """Runs of equal length."""
        lengths, counts = self.lengths.unique_consecutive(return_counts=True)
        starts = offsets_of(lengths * counts)[:-1]
        rows = zip(starts.tolist(), counts.tolist(), lengths.tolist(), strict=True)
        return [Group(*row) for row in rows if row[2]]


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packing: Packing,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **unused: Any,
) -> tuple[Tensor, None]:
    """Attend within each record; query, key and value ``(1, H, N, D)``, result ``(1, N, H, D)``."""
    parts = []
    heads, width = query.shape[1], query.shape[3]
    for group in packing.groups():
        shape = (heads, group.count, group.length, width)
        q, k, v = (x[0, :, group.start : group.stop].view(shape) for x in (query, key, value))
        mask = None
        if sliding_window is not None and group.length > sliding_window:
            position = torch.arange(group.length, device=q.device)
            mask = (position[:, None] - position).abs() < sliding_window
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scaling)
        parts.append(out.permute(1, 2, 0, 3).flatten(0, 1))
    return torch.cat(parts)[None], None


AttentionInterface.register(PACKED, packed_attention)
