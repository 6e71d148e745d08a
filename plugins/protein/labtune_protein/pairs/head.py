"""A head on pairs of residues: contact maps and distance bins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from labtune.encoder.base import Attention, Encoder
from labtune.errors import SettingsError
from labtune.protocols import Batch, Output
from labtune.ragged import Ragged, offsets_of
from labtune.specs import Labels, Prediction
from labtune_protein.convolution import ChainConvolutions, residue_letters, residue_states
from labtune_protein.pairs.ranking import decode_pairs

FAMILIES = Path(__file__).parents[1] / "families" / "contacts" / "pair_head.safetensors"
MAPS, CHANNELS, ALONG, DILATIONS = 16, 32, 96, (1, 2, 4, 1)  # of the weights in that file
FURTHEST = 64  # separations from which all count alike


class PairHead(nn.Module):
    """The encoder's attention maps, learned maps and products of projected states, refined by dilated convolutions.

    Every map is made symmetric and freed of what each residue's row and column bring by themselves (average product
    correction, Dunn et al. 2008, doi:10.1093/bioinformatics/btm604), as Rao et al. (2021, ICLR) do. The encoder's own
    maps are read where it shows them. Residual networks of dilated convolutions read the neighbourhood: of a residue,
    before residues are paired, and then of a pair.

    Pre-trained weights learned from letters which contacts families of sequences agree on; the encoder's states and
    attention then begin with next to no influence.

    Parameters
    ----------
    width
        C, the encoder's width.
    labels
        K distance bins, the nearest first; the head has one class more, for pairs that are far.
    layers
        How many of the encoder's last layers show their attention maps.
    maps
        Learned attention maps.
    channels
        Width of the pair representation.
    along
        Width of the convolutions along the chain.
    dilations
        Of the convolutions, one after the other.
    dropout
        On the encoder's states.
    pretrained
        Whether to start from the weights in the package. They know one bin: with more, what comes last starts from
        chance.

    Raises
    ------
    SettingsError
        If labels are not pairs, or pre-trained weights are asked for in another shape.
    """

    def __init__(
        self,
        width: int,
        labels: Labels,
        *,
        layers: int = 6,
        maps: int = MAPS,
        channels: int = CHANNELS,
        along: int = ALONG,
        dilations: Sequence[int] = DILATIONS,
        dropout: float = 0.1,
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        if labels.kind != "spans":
            raise SettingsError("head 'protein.pairs' predicts pairs, so it needs labels of kind spans")
        self.labels = labels
        self.width = width
        self.layers, self.maps, self.channels = layers, maps, channels
        self.attention: Attention | None = None
        self.convolutions = ChainConvolutions(width, along, dropout=dropout, pretrained=False)
        self.dropout = nn.Dropout(dropout)
        self.query = nn.Linear(along, 16 * maps)
        self.key = nn.Linear(along, 16 * maps)
        self.left = nn.Linear(along, channels)
        self.right = nn.Linear(along, channels)
        self.separation = nn.Embedding(FURTHEST + 1, channels)
        self.mix = nn.Linear(maps + channels, channels)
        self.blocks = nn.ModuleList(_Block(channels, dilation) for dilation in dilations)
        self.output = nn.Linear(channels, len(labels.names) + 1)
        self.pretrained = pretrained
        if pretrained:
            self._start_from_families((maps, channels, along, tuple(dilations)))

    def connect(self, encoder: Encoder) -> None:
        """Ask the encoder for its attention maps, and make room for them."""
        self.attention = encoder.share_attention(self.layers) if self.layers else None
        if self.attention is not None:
            self.attended = nn.Linear(self.attention.layers * self.attention.heads, self.channels, bias=False)
            if self.pretrained:
                nn.init.zeros_(self.attended.weight)

    def forward(self, hidden: Ragged, batch: Batch) -> Output:
        """Hidden states ``(N, C)`` to logits of pairs i < j ``(P, K + 1)``."""
        pairs, both = self.represent(hidden, batch)
        with torch.autocast(pairs.device.type, enabled=False):  # rounded logits would tie, and ranks decide
            logits = self.output((pairs + pairs.transpose(1, 2)).float())  # (B, T, T, K + 1)
        upper = torch.ones_like(both).triu(1) & both
        sizes = both.diagonal(dim1=1, dim2=2).sum(1).cpu()
        return Output(Ragged(logits[upper], offsets_of(sizes * (sizes - 1) // 2)))

    def represent(self, hidden: Ragged, batch: Batch) -> tuple[Tensor, Tensor]:
        """Represent all pairs of residues, for this head's output or for what else is built on pairs.

        Returns
        -------
        tuple of Tensor
            ``(B, T, T, D)``, and which places are pairs ``(B, T, T)``.
        """
        rows = residue_states(hidden, batch)
        states = self.convolutions(rows.with_values(rows.values[:, : self.width]), residue_letters(batch))  # (U, A)
        block, mask = states.padded()  # (B, T, A), (B, T)
        both = mask[:, :, None] & mask[:, None, :]  # (B, T, T)
        pairs = self._pairs(self.dropout(block), both)  # (B, T, T, D)
        if self.attention is not None:
            maps = attention_maps(hidden.with_values(hidden.values[:, self.width :]), self.attention, batch)
            pairs = pairs + self.attended(maps.to(pairs.dtype)) * both[..., None]
        for layer in self.blocks:
            pairs = layer(pairs, both)
        return pairs, both

    def decode(self, output: Output, batch: Batch) -> list[Prediction]:
        """Contacts more likely than not, and in the details the likeliest pairs of each range."""
        return [
            self._decode(record.id, len(record.input), rows)
            for record, rows in zip(batch.records, output.logits, strict=True)
        ]

    def _start_from_families(self, shape: tuple[int, int, int, tuple[int, ...]]) -> None:
        if shape != (MAPS, CHANNELS, ALONG, DILATIONS):
            raise SettingsError(
                f"a pre-trained head of pairs has {MAPS} maps, {CHANNELS} channels, {ALONG} along the chain and the "
                f"dilations {list(DILATIONS)}; for others add --set head.pretrained=false"
            )
        own = self.state_dict()
        self.load_state_dict(own | {k: v for k, v in load_file(FAMILIES).items() if v.shape == own[k].shape})
        self.convolutions.quieten_states()

    def _pairs(self, states: Tensor, both: Tensor) -> Tensor:
        query, key = (
            layer(states).unflatten(-1, (self.maps, -1)).transpose(1, 2) for layer in (self.query, self.key)
        )  # (B, M, T, 16)
        scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5  # (B, M, T, T)
        maps = corrected(scores.sigmoid() * both[:, None]).permute(0, 2, 3, 1)
        products = self.left(states)[:, :, None] * self.right(states)[:, None]  # (B, T, T, D)
        index = torch.arange(states.shape[1], device=states.device)
        apart = (index[:, None] - index[None]).abs().clamp(max=FURTHEST)
        mixed: Tensor = self.mix(torch.cat([maps, products + products.transpose(1, 2)], -1)) + self.separation(apart)
        return mixed * both[..., None]

    def _decode(self, name: str, size: int, logits: Tensor) -> Prediction:
        probabilities = logits.float().softmax(-1)[:, 0].cpu().numpy()  # (P,)
        return decode_pairs(name, size, probabilities, self.labels.names[0])


class _Block(nn.Module):
    """One residual convolution over the map; places without a pair stay zero."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.spread = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels)
        self.mix = nn.Linear(channels, channels)

    def forward(self, pairs: Tensor, both: Tensor) -> Tensor:
        """Pairs ``(B, T, T, D)`` to the same shape."""
        seen = (self.norm(pairs) * both[..., None]).permute(0, 3, 1, 2)
        with torch.autocast(seen.device.type, enabled=False):  # in bfloat16 on a CPU its gradient is at times NaN
            spread = self.spread(seen.float())
        update = self.mix(nn.functional.gelu(spread).permute(0, 2, 3, 1))
        updated: Tensor = pairs + update * both[..., None]
        return updated


def attention_maps(rows: Ragged, attention: Attention, batch: Batch) -> Tensor:
    """The encoder's attention between residues, corrected: ``(B, T, T, layers * heads)``.

    Attention to special tokens takes its share and is left out. A map is multiplied by the number of residues, so that
    1 is what chance gives, and its heavy tail is bent to a logarithm.

    Parameters
    ----------
    rows
        Queries and keys of all tokens ``(N, layers * 2 * C)``; of a record that was read in windows they belong
        together within a window only.
    attention
        How many there are.
    batch
        Where the special tokens are.
    """
    shape = (attention.layers, 2, attention.heads, -1)
    block, mask = rows.padded()  # (B, S, layers * 2 * C), (B, S)
    query, key = block.unflatten(-1, shape).permute(3, 0, 2, 4, 1, 5).flatten(2, 3)  # (B, M, S, D) each
    scores = (query @ key.transpose(2, 3)).float().masked_fill(~mask[:, None, None], float("-inf"))
    inner = slice(batch.prefix, block.shape[1] - batch.suffix)
    lengths = (rows.lengths - batch.prefix - batch.suffix).to(block.device)  # (B,)
    known = torch.arange(inner.stop - inner.start, device=block.device) < lengths[:, None]  # (B, T)
    both = (known[:, :, None] & known[:, None, :])[:, None]
    maps = corrected(scores.softmax(-1)[:, :, inner, inner] * both)
    return torch.asinh(maps * lengths[:, None, None, None] * both).permute(0, 2, 3, 1)


def corrected(maps: Tensor) -> Tensor:
    """Make maps ``(B, M, T, T)`` symmetric and subtract the product of their row and column sums over the total."""
    maps = maps + maps.transpose(-1, -2)
    rows, columns = maps.sum(-1, keepdim=True), maps.sum(-2, keepdim=True)
    total = maps.sum((-1, -2), keepdim=True).clamp(min=1e-6)
    return maps - rows * columns / total
