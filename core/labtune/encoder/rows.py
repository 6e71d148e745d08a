"""Token embeddings whose gradient costs what a step's tokens cost, and not what the vocabulary costs.

The gradient of ``nn.Embedding`` is a table as large as the weights, made of zeros anew in each backward pass. For a
small encoder with a vocabulary of 30,000 words that is half of all parameters. Here one table is kept, and only the
rows that the step before wrote are cleared. What the optimiser sees is the same dense gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

WORTHWHILE = 2**20  # weights of a table from which clearing it costs more than keeping account of rows


class RowEmbedding(nn.Embedding):
    """An ``nn.Embedding`` that writes its gradient itself, into a table that it keeps.

    Only for one process: distributed training waits for gradients that autograd hands over.
    """

    table: Tensor
    written: list[Tensor]
    shared: bool  # whether autograd has added to the table, for weights that are used elsewhere, too
    watch: RemovableHandle

    def keep_table(self) -> None:
        """Make the table."""
        self.table, self.written, self.shared = torch.zeros_like(self.weight, requires_grad=False), [], False
        self.watch = self.weight.register_post_accumulate_grad_hook(self._notice)

    def drop_table(self) -> None:
        """Leave nothing behind."""
        self.watch.remove()
        self.weight.grad = None
        del self.table, self.written, self.shared, self.watch

    def forward(self, tokens: Tensor) -> Tensor:
        """Rows of the weights for token ids: ``(…)`` to ``(…, C)``."""
        if not (torch.is_grad_enabled() and self.weight.requires_grad):
            return super().forward(tokens)
        rows: Tensor = _Rows.apply(self.weight, tokens, self)  # type: ignore[no-untyped-call]  # torch leaves it so
        return rows

    def add_gradient(self, tokens: Tensor, gradient: Tensor) -> None:
        """Add the gradient ``(N, C)`` of the rows of token ids ``(N,)``."""
        if self.weight.grad is None:
            self._clear()
            self.weight.grad = self.table
        if self.padding_idx is not None:
            gradient = gradient.masked_fill((tokens == self.padding_idx)[:, None], 0.0)
        self.weight.grad.index_add_(0, tokens, gradient.to(self.weight.dtype))
        self.written.append(tokens)

    def _clear(self) -> None:
        if self.shared:
            self.table.zero_()
        for rows in self.written:
            self.table.index_fill_(0, rows, 0.0)
        self.written, self.shared = [], False

    def _notice(self, weight: Tensor) -> None:
        self.shared = True


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, tokens: Tensor, layer: RowEmbedding) -> Tensor:
        ctx.tokens, ctx.layer = tokens.flatten(), layer
        return weight[tokens]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None]:
        ctx.layer.add_gradient(ctx.tokens, gradient.flatten(0, -2))
        return None, None, None


@contextmanager
def row_gradients(model: nn.Module, *, when: bool = True) -> Iterator[None]:
    """Let a model's large embeddings write their gradients themselves for a while.

    Parameters
    ----------
    model
        Its embeddings are changed in place, and back at the end.
    when
        Whether at all.
    """
    layers = [module for module in model.modules() if when and type(module) is nn.Embedding and _is_worth(module)]
    for layer in layers:
        layer.__class__ = RowEmbedding
        cast("RowEmbedding", layer).keep_table()
    try:
        yield
    finally:
        for layer in layers:
            cast("RowEmbedding", layer).drop_table()
            layer.__class__ = nn.Embedding


def _is_worth(layer: nn.Embedding) -> bool:
    plain = layer.max_norm is None and not layer.scale_grad_by_freq and not layer.sparse
    return plain and layer.weight.requires_grad and layer.weight.numel() >= WORTHWHILE
