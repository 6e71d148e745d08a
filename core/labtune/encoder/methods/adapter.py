"""Small bottleneck layers inside the blocks of a frozen encoder (Houlsby et al. 2019; Pfeiffer et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from labtune.encoder.base import Encoder
from labtune.encoder.methods.base import Method, check, is_whole_number
from labtune.encoder.structure import block_linears, last_of_attention, last_of_mlp, network
from labtune.errors import SettingsError

Place = Literal["houlsby", "pfeiffer"]


class Adapted(nn.Module):
    """A frozen layer and a bottleneck on its output: ``y + up(gelu(down(y)))``.

    ``up`` starts at zero, so that training starts from the encoder's own function.

    Parameters
    ----------
    layer
        ``(..., in)`` to ``(..., out)``.
    width, size
        Of the layer's output, and of the bottleneck.
    """

    def __init__(self, layer: nn.Module, width: int, size: int) -> None:
        super().__init__()
        self.layer = layer
        self.down = nn.Linear(width, size)
        self.up = nn.Linear(size, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer, then the bottleneck beside it."""
        hidden = self.layer(x)
        out: Tensor = hidden + self.up(F.gelu(self.down(hidden)))
        return out


@dataclass(frozen=True)
class Adapter(Method):
    """Bottleneck adapters before the residual sums.

    Parameters
    ----------
    size
        Width of the bottleneck.
    place
        ``houlsby``: after attention and after the feed-forward part of every block; ``pfeiffer``: after the latter
        only, for half the weights.
    """

    name = "adapter"
    size: int = 64
    place: Place = "houlsby"

    def __post_init__(self) -> None:
        check(is_whole_number(self.size), "size", "a whole number, 1 or more", self.size)
        check(self.place in get_args(Place), "place", " or ".join(get_args(Place)), self.place)

    def extend(self, encoder: Encoder) -> None:
        """Wrap the last linear layers of attention and feed-forward parts."""
        model = network(encoder)
        for linears in block_linears(encoder, "method 'adapter'"):
            for name in self._places(linears, encoder.width):
                layer = linears[name]
                model.set_submodule(name, Adapted(layer, layer.out_features, self.size))

    def merge(self, encoder: Encoder) -> None:
        """Raise SettingsError: a bottleneck is not linear."""
        raise SettingsError(
            "bottleneck adapters cannot be merged into a plain model: train with method 'lora' to export one"
        )

    def _places(self, linears: dict[str, nn.Linear], width: int) -> list[str]:
        places = [last_of_mlp(linears)]
        if self.place == "houlsby":
            attention = last_of_attention(linears, width)
            if attention is None:
                raise SettingsError("no attention output was found in this encoder: set tuning.place = 'pfeiffer'")
            places.insert(0, attention)
        return places
