"""Ragged arrays: the only batch format, and the only place where padding is made.

A batch of sequences is one flat tensor of all their rows, ``values (N, ...)``, and the boundaries ``offsets (B + 1,)``.
Row ``i`` is ``values[offsets[i]:offsets[i + 1]]``. The offsets stay on the CPU, so that asking for a length never waits
for an accelerator.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of unequal length in one flat tensor.

    Parameters
    ----------
    values
        ``(N, ...)``, all rows one after the other.
    offsets
        ``(B + 1,)`` int64 on the CPU, starting at 0 and ending at N.

    Raises
    ------
    ValueError
        If the offsets do not start at 0 or do not end at N.
    """

    values: Tensor
    offsets: Tensor

    def __post_init__(self) -> None:
        if self.bounds[0] != 0 or self.bounds[-1] != len(self.values):
            raise ValueError(
                f"offsets go from {self.bounds[0]} to {self.bounds[-1]}, the values hold {len(self.values)} rows"
            )

    @classmethod
    def from_rows(cls, rows: Sequence[Any], dtype: torch.dtype | None = None) -> Ragged:
        """Pack rows (tensors, arrays or lists) of equal trailing shape."""
        tensors = [torch.as_tensor(row, dtype=dtype) for row in rows]
        values = torch.cat(tensors) if tensors else torch.empty(0, dtype=dtype)
        return cls(values, offsets_of([len(row) for row in tensors]))

    @classmethod
    def one_per_row(cls, values: Tensor) -> Ragged:
        """Give each of B records exactly one row: ``values (B, ...)``."""
        return cls(values, torch.arange(len(values) + 1))

    @cached_property
    def bounds(self) -> list[int]:
        """The offsets as Python integers."""
        bounds: list[int] = self.offsets.tolist()
        return bounds

    @cached_property
    def lengths(self) -> Tensor:
        """Rows of each record, ``(B,)`` int64 on the CPU."""
        return self.offsets.diff()

    @cached_property
    def segment_ids(self) -> Tensor:
        """For each flat row, the index of its record: ``(N,)`` on the device of the values."""
        return torch.repeat_interleave(torch.arange(len(self)), self.lengths).to(self.values.device)

    @property
    def max_length(self) -> int:
        """Length of the longest record; 0 for an empty batch."""
        return int(self.lengths.max()) if len(self) else 0

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, index: int) -> Tensor:
        index = range(len(self))[index]
        return self.values[self.bounds[index] : self.bounds[index + 1]]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[index] for index in range(len(self)))

    def with_values(self, values: Tensor) -> Ragged:
        """Return other values ``(N, ...)`` under the same boundaries."""
        return Ragged(values, self.offsets)

    def to(self, device: torch.device | str) -> Ragged:
        """Move the values; the offsets stay on the CPU."""
        return Ragged(self.values.to(device, non_blocking=True), self.offsets)

    def flat_index(self, rows: Sequence[int] | Tensor) -> Tensor:
        """Flat positions of the given records, one record after the other."""
        chosen = torch.as_tensor(rows, dtype=torch.long)
        lengths = self.lengths[chosen]
        shift = self.offsets[chosen] - offsets_of(lengths)[:-1]
        return torch.arange(int(lengths.sum())) + torch.repeat_interleave(shift, lengths)

    def select(self, rows: Sequence[int] | Tensor) -> Ragged:
        """Return the given records, in the given order."""
        chosen = torch.as_tensor(rows, dtype=torch.long)
        return Ragged(self.values[self.flat_index(chosen).to(self.values.device)], offsets_of(self.lengths[chosen]))

    def sum(self) -> Tensor:
        """Sum over each record's rows: ``(B, ...)``, zero for an empty record."""
        shape = (len(self), *self.values.shape[1:])
        return self.values.new_zeros(shape).index_add(0, self.segment_ids, self.values)

    def mean(self) -> Tensor:
        """Average over each record's rows: ``(B, ...)``, zero for an empty record."""
        lengths = self.lengths.clamp(min=1).to(self.values.device)
        return self.sum() / lengths.view(-1, *[1] * (self.values.dim() - 1))

    def max(self) -> Tensor:
        """Maximum over each record's rows: ``(B, ...)``, -inf for an empty record."""
        shape = (len(self), *self.values.shape[1:])
        index = self.segment_ids.view(-1, *[1] * (self.values.dim() - 1)).expand_as(self.values)
        return self.values.new_full(shape, float("-inf")).scatter_reduce(0, index, self.values, "amax")

    def softmax(self) -> Ragged:
        """Softmax over each record's rows, for every trailing position on its own."""
        exponent = (self.values - self.max().index_select(0, self.segment_ids)).exp()
        total = self.with_values(exponent).sum().index_select(0, self.segment_ids)
        return self.with_values(exponent / total)

    def padded(self, fill: float = 0) -> tuple[Tensor, Tensor]:
        """Make the dense block ``(B, T, ...)`` and its mask ``(B, T)``, True where there is a row."""
        longest = self.max_length
        mask = torch.arange(longest) < self.lengths[:, None]
        block = self.values.new_full((len(self) * longest, *self.values.shape[1:]), fill)
        block[self._places(longest).to(self.values.device)] = self.values
        return block.unflatten(0, mask.shape), mask.to(self.values.device)

    def unpadded(self, block: Tensor) -> Ragged:
        """Take the rows of a dense block ``(B, T, ...)`` that :meth:`padded` would have filled."""
        return Ragged(block.flatten(0, 1)[self._places(block.shape[1]).to(block.device)], self.offsets)

    def spaced(self, gap: int) -> tuple[Tensor, Tensor]:
        """Lay all records along one line, with empty rows between them, for what reads a row's neighbours.

        Parameters
        ----------
        gap
            Rows of zeros after every record.

        Returns
        -------
        tuple of Tensor
            The line ``(N + B * gap, ...)``, and where in it each flat row lies ``(N,)``.
        """
        shift = torch.repeat_interleave(torch.arange(len(self)) * gap, self.lengths)
        places = (torch.arange(self.bounds[-1]) + shift).to(self.values.device)
        line = self.values.new_zeros((len(self.values) + len(self) * gap, *self.values.shape[1:]))
        return line.index_copy(0, places, self.values), places

    def _places(self, longest: int) -> Tensor:
        """Where in a dense block of this many columns each flat row lies, ``(N,)`` on the CPU.

        Known from the boundaries alone, so that an accelerator need not be waited for.
        """
        shift = torch.arange(len(self)) * longest - self.offsets[:-1]
        return torch.arange(self.bounds[-1]) + torch.repeat_interleave(shift, self.lengths)


def offsets_of(lengths: Sequence[int] | Tensor) -> Tensor:
    """Boundaries ``(B + 1,)`` of records with these lengths."""
    sizes = torch.as_tensor(lengths, dtype=torch.long)
    return torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)])


def concatenate(parts: Iterable[Ragged]) -> Ragged:
    """Join batches, one after the other."""
    chosen = list(parts)
    lengths = torch.cat([part.lengths for part in chosen])
    return Ragged(torch.cat([part.values for part in chosen]), offsets_of(lengths))


@dataclass(frozen=True, eq=False)
class Windows:
    """How records longer than an encoder's limit are read in overlapping windows, and put together again.

    Parameters
    ----------
    positions
        ``(M,)``: the flat position of the record that each window row reads.
    offsets
        ``(W + 1,)``: the windows' boundaries.
    weights
        ``(M,)``: what each window row counts for in the stitched result. Of several windows that read a position the
        one in which it lies deepest counts 1 and the others 0; special rows at the ends are averaged.
    length
        N, rows of the original.
    """

    positions: Tensor
    offsets: Tensor
    weights: Tensor
    length: int

    def cut(self, ragged: Ragged) -> Ragged:
        """Read the records through the windows."""
        return Ragged(ragged.values[self.positions.to(ragged.values.device)], self.offsets)

    def stitch(self, windowed: Tensor, offsets: Tensor) -> Ragged:
        """Put window rows ``(M, C)`` back into records with the given boundaries."""
        weights = self.weights.to(windowed)[:, None]
        positions = self.positions.to(windowed.device)
        whole = windowed.new_zeros((self.length, windowed.shape[1]))
        return Ragged(whole.index_add(0, positions, windowed * weights), offsets)


def plan_windows(
    ragged: Ragged, size: int, *, prefix: int = 0, suffix: int = 0, overlap: int | None = None
) -> Windows | None:
    """Plan windows of at most ``size`` rows over every record that is longer.

    Parameters
    ----------
    ragged
        The records.
    size
        The encoder's limit in rows, special rows included.
    prefix, suffix
        Special rows at the two ends of every record; each window gets them.
    overlap
        Rows that neighbouring windows share; a quarter of the window by default.

    Returns
    -------
    Windows or None
        None when every record fits.

    Raises
    ------
    ValueError
        If the limit leaves no room for content beside the special rows and the overlap.
    """
    if ragged.max_length <= size:
        return None
    room = size - prefix - suffix
    shared = room // 4 if overlap is None else overlap
    if room - shared < 1:
        raise ValueError(
            f"windows of {size} rows leave no room beside {prefix + suffix} special and {shared} shared rows"
        )
    positions: list[Tensor] = []
    weights: list[Tensor] = []
    for start, length in zip(ragged.bounds[:-1], ragged.lengths.tolist(), strict=True):
        rows, shares = _windows_of(length, room, shared, prefix, suffix) if length > size else _whole(length)
        positions.extend(row + start for row in rows)
        weights.extend(shares)
    return Windows(
        torch.cat(positions), offsets_of([len(row) for row in positions]), torch.cat(weights), len(ragged.values)
    )


def _whole(length: int) -> tuple[list[Tensor], list[Tensor]]:
    return [torch.arange(length)], [torch.ones(length)]


def _windows_of(length: int, room: int, shared: int, prefix: int, suffix: int) -> tuple[list[Tensor], list[Tensor]]:
    """Windows over one record: their positions, and the weight of each row."""
    content = length - prefix - suffix
    step = room - shared
    starts = [*range(0, content - room, step), content - room]
    # Neighbouring windows meet in the middle of what they share.
    middles = [(left + room + right) // 2 for left, right in itertools.pairwise(starts)]
    cuts = [0, *middles, content]
    head, tail = torch.arange(prefix), torch.arange(length - suffix, length)
    rows, shares = [], []
    for index, start in enumerate(starts):
        inner = torch.arange(start, start + room)
        rows.append(torch.cat([head, inner + prefix, tail]))
        own = ((inner >= cuts[index]) & (inner < cuts[index + 1])).float()
        special = torch.full((prefix,), 1 / len(starts)), torch.full((suffix,), 1 / len(starts))
        shares.append(torch.cat([special[0], own, special[1]]))
    return rows, shares
