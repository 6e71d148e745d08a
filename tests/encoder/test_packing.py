"""Tiles lose no record and no row, and keep records apart."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from labtune.encoder.packing import TILE, Packing, fill_tiles
from labtune.ragged import Ragged

LENGTHS = st.lists(st.integers(0, 150), min_size=1, max_size=60)


def packing_of(lengths: list[int]) -> tuple[Ragged, Packing]:
    ragged = Ragged.from_rows([torch.arange(length) + 1000 * index for index, length in enumerate(lengths)], torch.long)
    return ragged, Packing.of(ragged)


@given(LENGTHS)
def test_tiles_hold_each_record_once(lengths: list[int]) -> None:
    tiles = fill_tiles(lengths)
    assert sorted(record for tile in tiles for record in tile) == list(range(len(lengths)))
    for tile in tiles:
        assert sum(lengths[record] for record in tile) <= max(TILE, max(lengths[record] for record in tile))


def test_best_fit_by_hand() -> None:
    assert fill_tiles([10, 40, 24, 54, 100, 30]) == [[4], [3, 0], [1, 2], [5]]


@given(LENGTHS)
def test_groups_cover_the_rows_and_undo_restores_them(lengths: list[int]) -> None:
    ragged, packing = packing_of(lengths)
    ends = [0, *(group.stop for group in packing.groups)]
    assert [group.start for group in packing.groups] == ends[:-1]
    assert ends[-1] == len(ragged.values)
    assert torch.equal(packing.undo(packing.tokens.values), ragged.values)
    assert torch.equal(packing.positions(5), packing.tokens.values % 1000 + 5)


@given(LENGTHS, st.sampled_from([None, 1, 4, 70]))
def test_masks_open_exactly_within_records_and_windows(lengths: list[int], window: int | None) -> None:
    _, packing = packing_of(lengths)
    values = packing.tokens.values
    for group in packing.groups:
        rows = values[group.start : group.stop].view(group.count, group.size)
        apart = (rows[:, :, None] - rows[:, None, :]).abs()  # at least 850 between records
        expected = apart < (500 if window is None else window)
        mask = packing.mask(group, window)
        opened = torch.ones_like(expected) if mask is None else mask.expand_as(expected)
        assert torch.equal(opened, expected)


def test_bias_repeats_the_mask_for_each_head() -> None:
    _, packing = packing_of([25, 35, 25, 35])
    (group,) = packing.groups
    mask, bias = packing.mask(group, None), packing.bias(group, None, 3, torch.bfloat16)
    assert mask is not None
    assert bias is not None
    assert torch.equal(bias.view(2, 3, 60, 60) == 0, mask[:, None].expand(2, 3, 60, 60))
    assert bias.isinf().any()
    assert packing.bias(group, None, 3, torch.bfloat16) is bias, "made once for all layers"
