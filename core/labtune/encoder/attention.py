"""Attention over a flat batch: every record attends to itself alone, without padding.

transformers' own routes for flat batches need FlashAttention on a GPU; its other attention functions ignore record
boundaries and let records read each other, silently. So labtune registers a function of its own, which is given the
boundaries as the keyword argument ``packing``. It applies no dropout to attention probabilities, on any device: fused
kernels have none, and results must not depend on the device.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface

from labtune.encoder.packing import Group, Packing

PACKED = "labtune_packed"
LONG = 512  # rows from which storing all scores costs more than computing them twice


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
    """Attend within each record.

    Parameters
    ----------
    module, attention_mask, unused
        Part of transformers' interface.
    query, key, value
        ``(1, H, N, D)``, rows in the order of the packing.
    packing
        The records' boundaries.
    scaling
        Factor on the scores; one over the root of D by default.
    sliding_window
        Tokens at this distance or further apart do not read each other.

    Returns
    -------
    tuple
        ``(1, N, H, D)``, and None for the probabilities, which are not kept.
    """
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    q, k, v = (part[0].transpose(0, 1) for part in (query, key, value))  # (N, H, D) each
    if packing.kept is not None:
        packing.kept.append(torch.stack([q * scale, k], 1).flatten(1))  # (N, 2 * H * D)
    if q.shape[-1] % 8 == 0 and _has_kernel(q):
        return _by_kernel(q, k, v, packing, scale, sliding_window)[None], None
    sizes = [group.count * group.size for group in packing.groups]
    parts = [
        _by_tile(*rows, packing=packing, group=group, scale=scale, window=sliding_window)
        for group, *rows in zip(packing.groups, q.split(sizes), k.split(sizes), v.split(sizes), strict=True)
    ]
    return (torch.cat(parts) if len(parts) > 1 else parts[0])[None], None


def _by_tile(
    query: Tensor, key: Tensor, value: Tensor, *, packing: Packing, group: Group, scale: float, window: int | None
) -> Tensor:
    """Attention of the tiles of one size: rows ``(count * size, H, D)`` in and out."""
    heads, width = query.shape[1:]
    shape = (group.count, group.size, heads, width)
    q, k, v = (part.reshape(shape).transpose(1, 2) for part in (query, key, value))  # (count, H, size, D)
    if group.size > LONG:
        mask = packing.mask(group, window)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=None if mask is None else mask[:, None], scale=scale)
        return out.transpose(1, 2).flatten(0, 1)
    q, k, v = (part.flatten(0, 1) for part in (q, k, v))  # (count * H, size, D)
    bias = packing.bias(group, window, heads, q.dtype)
    if bias is None:
        scores = torch.bmm(q * scale, k.transpose(1, 2))
    else:
        scores = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=scale)
    out = torch.bmm(scores.softmax(-1), v).view(group.count, heads, group.size, width)
    return out.transpose(1, 2).flatten(0, 1)


def _has_kernel(rows: Tensor) -> bool:
    """Whether torch's variable-length attention runs here: FlashAttention, so an Ampere GPU or later, in 16 bits."""
    return rows.is_cuda and rows.dtype in (torch.bfloat16, torch.float16) and _is_ampere(rows.device)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # torch leaves it so
@cache
def _is_ampere(device: torch.device) -> bool:
    return torch.cuda.get_device_capability(device) >= (8, 0)


def _by_kernel(query: Tensor, key: Tensor, value: Tensor, packing: Packing, scale: float, window: int | None) -> Tensor:
    """Attention of all records in one kernel: ``(N, H, D)`` in and out."""
    bounds, longest = packing.bounds, packing.longest
    reach = -1 if window is None else window - 1  # the kernel's window includes its ends
    q, k, v = query.contiguous(), key.contiguous(), value.contiguous()
    out = varlen_attn(q, k, v, bounds, bounds, longest, longest, scale=scale, window_size=(reach, reach))
    return cast("Tensor", out)


AttentionInterface.register(PACKED, packed_attention)
