"""Tokens that fade into a blank one, so that an explanation can follow a prediction along the way.

The input ``fade (N,)`` of an encoder says how far each token is gone: 0 is the token as it is, 1 the blank. Between
them the token's embedding is mixed with the blank's. An encoder that takes the input says so by ``fades``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from labtune.ragged import Ragged

FADE = "fade"


def without_fade(inputs: Mapping[str, Ragged]) -> tuple[dict[str, Ragged], Ragged | None]:
    """Take the fade out of an encoder's inputs."""
    rest = dict(inputs)
    return rest, rest.pop(FADE, None)


def mixed(embedded: Tensor, fade: Tensor, blank: Tensor) -> Tensor:
    """Mix embeddings ``(…, C)`` with that of the blank ``(C,)``, by fade ``(…)``."""
    return embedded + fade[..., None].to(embedded) * (blank.to(embedded) - embedded)


@contextmanager
def fading(embedding: nn.Module, fade: Tensor | None, blank: Sequence[int]) -> Iterator[None]:
    """Mix what an embedding layer looks up, for as long as the context lasts; without a fade nothing happens.

    Parameters
    ----------
    embedding
        Looks up ids ``(…)``: ``(…, C)``.
    fade
        As many numbers as the ids that it will be asked for, in their order.
    blank
        Ids whose average stands for no token.
    """
    if fade is None:
        yield
        return
    with torch.no_grad():
        nothing = embedding(torch.tensor(list(blank), device=fade.device)).mean(0)  # (C,)
    handle = embedding.register_forward_hook(
        lambda _, __, embedded: mixed(embedded, fade.view(embedded.shape[:-1]), nothing)
    )
    try:
        yield
    finally:
        handle.remove()
