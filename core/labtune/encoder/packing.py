"""In which order the records of a batch lie in memory while they are in the encoder, so that attention is fast.

Attention works on dense blocks. A block for each record would mean many small matrix products, and one block for the
whole batch a product that is mostly masked. So short records share *tiles* of at most ``TILE`` rows, in which a mask
keeps them apart, and a longer record is a tile of its own. Tiles of one size lie side by side, as one batched product.
A tile is just as long as its records: nothing is padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import Tensor

from labtune.ragged import Ragged

TILE = 64  # rows; up to this size a larger score matrix costs no time on the processors tried


@dataclass(frozen=True, slots=True)
class Group:
    """Tiles of one size, side by side.

    Parameters
    ----------
    start
        Row of the first tile.
    count
        Number of tiles.
    size
        Rows of each.
    shared
        Whether any of them holds several records, and so needs a mask.
    """

    start: int
    count: int
    size: int
    shared: bool

    @property
    def stop(self) -> int:
        """Row after the last tile."""
        return self.start + self.count * self.size


@dataclass(frozen=True, eq=False)
class Packing:
    """The order of the records, and the tiles that they form.

    Parameters
    ----------
    order
        ``(B,)``: which record of the batch comes where.
    tokens
        The records in that order.
    groups
        The tiles, from the first row to the last.
    bounds, longest
        Boundaries of the records ``(B + 1,)`` as int32 on the device of the tokens, and the length of the longest, as
        kernels for sequences of unequal length want them.
    kept
        Where attention leaves its queries and keys, layer after layer, for heads that read who attends to whom; None
        for nowhere.
    """

    order: Tensor
    tokens: Ragged
    groups: tuple[Group, ...]
    bounds: Tensor
    longest: int
    kept: list[Tensor] | None = None
    _masks: dict[tuple[Group, int | None], Tensor] = field(default_factory=dict)
    _biases: dict[tuple[Group, int | None, int, torch.dtype], Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, tokens: Ragged, *, keep: bool = False) -> Packing:
        """Pack a batch.

        Parameters
        ----------
        tokens
            Token ids ``(N,)``.
        keep
            Whether attention shall leave its queries and keys.
        """
        lengths = tokens.lengths.tolist()
        tiles = [(sum(lengths[record] for record in tile), tile) for tile in fill_tiles(lengths)]
        tiles.sort(key=lambda tile: tile[0])
        groups: list[Group] = []
        start = 0
        for size, same in groupby(tiles, key=lambda tile: tile[0]):
            members = [tile for _, tile in same]
            groups.append(Group(start, len(members), size, any(len(tile) > 1 for tile in members)))
            start = groups[-1].stop
        order = torch.tensor([record for _, tile in tiles for record in tile], dtype=torch.long)
        ordered = tokens.select(order)
        bounds = ordered.offsets.to(device=ordered.values.device, dtype=torch.int32)
        tiled = tuple(group for group in groups if group.size)
        return cls(order, ordered, tiled, bounds, max(lengths, default=0), [] if keep else None)

    def undo(self, values: Tensor) -> Tensor:
        """Bring rows ``(N, C)`` back into the order of the batch."""
        return values.index_select(0, self.tokens.flat_index(self.order.argsort()).to(values.device))

    def positions(self, first: int) -> Tensor:
        """Position of each token within its record, counted from ``first``: ``(N,)``."""
        starts = torch.repeat_interleave(self.tokens.offsets[:-1], self.tokens.lengths)
        return (torch.arange(len(starts)) - starts + first).to(self.tokens.values.device)

    def mask(self, group: Group, window: int | None) -> Tensor | None:
        """Say who may read whom: ``(count or 1, size, size)``, or None when everyone may read everyone in a tile.

        Parameters
        ----------
        group
            The tiles.
        window
            Tokens at this distance or further apart do not read each other; None for no such limit.
        """
        local = window is not None and group.size > window
        if not (local or group.shared):
            return None
        key = (group, window)
        if key not in self._masks:
            rows = torch.arange(group.size)
            near = (rows[:, None] - rows).abs()[None] < (window if local and window is not None else group.size)
            record = self.tokens.segment_ids[group.start : group.stop].view(group.count, group.size)
            same = record[:, :, None] == record[:, None, :]
            self._masks[key] = near.to(record.device) & same if group.shared else near.to(record.device)
        return self._masks[key]

    def bias(self, group: Group, window: int | None, heads: int, dtype: torch.dtype) -> Tensor | None:
        """Give the mask as what is added to scores, 0 or -inf, for every head: ``(count * heads, size, size)``."""
        mask = self.mask(group, window)
        if mask is None:
            return None
        key = (group, window, heads, dtype)
        if key not in self._biases:
            closed = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, float("-inf"))
            shape = (group.count, heads, group.size, group.size)
            self._biases[key] = closed[:, None].expand(shape).reshape(-1, group.size, group.size)
        return self._biases[key]


def fill_tiles(lengths: Sequence[int]) -> list[list[int]]:
    """Share tiles of ``TILE`` rows among records, longest first, each where it leaves the least room (best fit).

    Parameters
    ----------
    lengths
        Rows of each record.

    Returns
    -------
    list
        The records of each tile.
    """
    tiles: list[list[int]] = []
    by_room: list[list[int]] = [[] for _ in range(TILE + 1)]  # unfinished tiles, by the rows they have left
    for record in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        length = lengths[record]
        room = next((room for room in range(length, TILE + 1) if by_room[room]), None)
        if room is None:
            tile, room = len(tiles), max(TILE, length)
            tiles.append([])
        else:
            tile = by_room[room].pop()
        tiles[tile].append(record)
        by_room[room - length].append(tile)
    return tiles
