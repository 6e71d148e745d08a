"""Layers that lead a linear head through what another classifier has before its output, unchanged."""

from __future__ import annotations

import torch
from torch import nn

from labtune.errors import EncoderError

BEFORE_NORM = 64.0  # a power of 2, so that nothing is rounded


@torch.no_grad()
def through_norm(norm: nn.LayerNorm) -> dict[str, nn.Module]:
    """ModernBERT's layer and norm before the classifier, such that they hand every hidden state through.

    The layer takes the gains of the encoder's last norm off again. What is left has mean 0 and variance 1, so that a
    second norm changes nothing and puts the gains back. A factor before it makes its epsilon negligible.

    Parameters
    ----------
    norm
        The encoder's last one.

    Returns
    -------
    dict
        The layers by their names in the classifier.

    Raises
    ------
    EncoderError
        If the norm cannot be undone.
    """
    if bool((norm.weight == 0).any()):
        raise EncoderError("a gain of the encoder's last norm is 0: transformers' classifier cannot hold this head")
    layer = nn.Linear(len(norm.weight), len(norm.weight))
    layer.weight.copy_(torch.diag(BEFORE_NORM / norm.weight))
    layer.bias.copy_(torch.zeros_like(norm.weight) if norm.bias is None else -BEFORE_NORM * norm.bias / norm.weight)
    return {"head.dense": layer, "head.norm": norm}


@torch.no_grad()
def through_rectifier(output: nn.Linear) -> tuple[nn.Linear, nn.Linear]:
    """Two layers with a ReLU or GELU between them whose function is that of one: ``f(z) - f(-z) = z`` for both.

    Parameters
    ----------
    output
        From C inputs to L outputs.

    Returns
    -------
    tuple
        A layer ``(C, C)``, of which 2 L outputs are used, and a layer ``(L, C)``.

    Raises
    ------
    EncoderError
        If 2 L is more than C.
    """
    width, count = output.in_features, output.out_features
    if 2 * count > width:
        raise EncoderError(
            f"{count} outputs are more than half the encoder's width of {width}, and transformers' classifier of this "
            "encoder cannot hold them: use labtune to predict"
        )
    first, second = nn.Linear(width, width), nn.Linear(width, count)
    for layer in (first, second):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    for start, sign in ((0, 1.0), (count, -1.0)):
        part = slice(start, start + count)
        first.weight[part], first.bias[part] = sign * output.weight, sign * output.bias
        second.weight[:, part] = sign * torch.eye(count)
    return first, second
