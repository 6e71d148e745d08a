"""Where things are in an encoder, told from its structure and never from names, which differ between architectures."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from labtune.encoder.base import Encoder
from labtune.encoder.hub import HubEncoder
from labtune.errors import SettingsError


def network(encoder: Encoder) -> nn.Module:
    """Return the module whose names other libraries know: the transformers model, or else the encoder itself."""
    return encoder.model if isinstance(encoder, HubEncoder) else encoder


def block_names(encoder: Encoder, purpose: str) -> list[str]:
    """Names of the blocks within the network, first to last.

    Parameters
    ----------
    encoder
        Any encoder.
    purpose
        Who asks, such as ``"method 'lora'"``.

    Raises
    ------
    SettingsError
        If the encoder names no blocks.
    """
    blocks = {id(block): number for number, block in enumerate(encoder.blocks)}
    found = {blocks[id(module)]: name for name, module in network(encoder).named_modules() if id(module) in blocks}
    if not found:
        raise SettingsError(
            f"{purpose} works on an encoder's blocks, and this one names none: choose method 'full' or 'head'"
        )
    return [found[number] for number in sorted(found)]


def block_linears(encoder: Encoder, purpose: str) -> list[dict[str, nn.Linear]]:
    """Linear layers of each block, by name within the network and in the order in which the block defines them."""
    model = network(encoder)
    return [dict(_linears(name, model.get_submodule(name))) for name in block_names(encoder, purpose)]


def last_of_mlp(linears: dict[str, nn.Linear]) -> str:
    """Name of a block's last linear layer, which ends its feed-forward part in every transformer."""
    return next(reversed(linears))


def last_of_attention(linears: dict[str, nn.Linear], width: int) -> str | None:
    """Name of a block's attention output: the last layer before the feed-forward part that keeps the width."""
    keep = [name for name, layer in linears.items() if layer.in_features == layer.out_features == width]
    keep = [name for name in keep if name != last_of_mlp(linears)]
    return keep[-1] if keep else None


def _linears(name: str, block: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    return ((f"{name}.{inner}", layer) for inner, layer in block.named_modules() if isinstance(layer, nn.Linear))


def depths(encoder: Encoder, purpose: str) -> dict[str, int]:
    """How many blocks lie above each parameter of the encoder, by its name there.

    It is 0 in the top block and in what comes after it, such as a last norm; in the embeddings, the number of blocks.
    """
    levels = block_levels(encoder, purpose)
    return {
        name: next((level for module, level in levels if name.startswith(module)), 0)
        for name, _ in encoder.named_parameters()
    }


def block_levels(encoder: Encoder, purpose: str) -> list[tuple[str, int]]:
    """Prefixes of parameter names in the blocks and the embeddings, with how many blocks lie above."""
    names = {id(module): name for name, module in encoder.named_modules()}
    if not encoder.blocks:
        block_names(encoder, purpose)
    count = len(encoder.blocks)
    levels = [(f"{names[id(block)]}.", count - 1 - number) for number, block in enumerate(encoder.blocks)]
    embeddings = [(f"{names[id(encoder.embeddings)]}.", count)] if encoder.embeddings is not None else []
    return [*levels, *embeddings]
