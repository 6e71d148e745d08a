"""Ragged arithmetic against plain loops, and windows against brute force."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labtune.ragged import Ragged, concatenate, offsets_of, plan_windows

LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=8)


def ragged(lengths: list[int], width: int = 3) -> Ragged:
    values = torch.arange(sum(lengths) * width, dtype=torch.float64).reshape(-1, width).sin()
    return Ragged(values, offsets_of(lengths))


@given(LENGTHS, st.data())
def test_select_takes_rows_in_the_given_order(lengths, data):
    whole = ragged(lengths)
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=6))
    chosen = whole.select(rows)
    assert chosen.lengths.tolist() == [lengths[row] for row in rows]
    for row, part in zip(rows, chosen, strict=True):
        assert torch.equal(part, whole[row])


@given(LENGTHS)
def test_reductions_are_those_of_each_record(lengths):
    whole = ragged(lengths)
    softmax = whole.softmax()
    for row, length in enumerate(lengths):
        part = whole[row]
        assert torch.allclose(whole.sum()[row], part.sum(0))
        if length:
            assert torch.allclose(whole.mean()[row], part.mean(0))
            assert torch.equal(whole.max()[row], part.max(0).values)
            assert torch.allclose(softmax[row], part.softmax(0))
        else:
            assert whole.mean()[row].tolist() == [0, 0, 0]
            assert whole.max()[row].tolist() == [float("-inf")] * 3


@given(LENGTHS)
def test_padding_and_joining(lengths):
    whole = ragged(lengths)
    block, mask = whole.padded(fill=7)
    assert torch.equal(block[mask], whole.values)
    assert (block[~mask] == 7).all()
    parts = concatenate(whole.select([row]) for row in range(len(lengths)))
    assert torch.equal(parts.values, whole.values)
    assert parts.bounds == whole.bounds


@given(LENGTHS, st.integers(0, 3))
def test_spacing_puts_empty_rows_after_every_record(lengths, gap):
    whole = ragged(lengths)
    line, places = whole.spaced(gap)
    assert torch.equal(line, torch.cat([torch.cat([part, torch.zeros(gap, 3, dtype=part.dtype)]) for part in whole]))
    assert torch.equal(line[places], whole.values)


def test_offsets_must_cover_the_values():
    with pytest.raises(ValueError, match="offsets go from 0 to 2, the values hold 3 rows"):
        Ragged(torch.zeros(3), torch.tensor([0, 2]))


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(2, 60), min_size=1, max_size=5),
    room=st.integers(1, 12),
    prefix=st.integers(0, 1),
    suffix=st.integers(0, 1),
    data=st.data(),
)
def test_windows_count_every_position_once(lengths, room, prefix, suffix, data):
    size = room + prefix + suffix
    overlap = data.draw(st.none() | st.integers(0, room - 1))
    whole = ragged(lengths)
    windows = plan_windows(whole, size, prefix=prefix, suffix=suffix, overlap=overlap)
    if windows is None:
        assert max(lengths) <= size
        return
    cut = windows.cut(whole)
    assert cut.max_length <= size
    # What every window reads is its record's, specials first and last.
    for part in windows.offsets[:-1].tolist():
        assert windows.positions[part] in whole.offsets or not prefix
    counted = torch.zeros(sum(lengths)).index_add(0, windows.positions, windows.weights)
    assert torch.allclose(counted, torch.ones(sum(lengths)))
    assert torch.allclose(windows.stitch(cut.values, whole.offsets).values, whole.values)


@pytest.mark.parametrize("overlap", [0, 2, 5])
def test_each_position_is_taken_where_it_lies_deepest(overlap):
    """Of all windows that read a content position, the one that counts is furthest from that window's ends."""
    windows = plan_windows(ragged([30]), 10, prefix=1, suffix=1, overlap=overlap)
    spans = [windows.positions[a:b][1:-1] for a, b in zip(windows.offsets[:-1], windows.offsets[1:], strict=True)]
    weights = [windows.weights[a:b][1:-1] for a, b in zip(windows.offsets[:-1], windows.offsets[1:], strict=True)]
    for position in range(1, 29):
        depths = {}
        taken = None
        for number, (span, weight) in enumerate(zip(spans, weights, strict=True)):
            inside = (span == position).nonzero()
            if len(inside):
                index = int(inside)
                left = index if span[0] > 1 else 99  # the record's own ends are no cut
                right = len(span) - 1 - index if span[-1] < 28 else 99
                depths[number] = min(left, right)
                taken = number if weight[index] == 1 else taken
        assert depths[taken] >= max(depths.values()) - 1  # meeting in the middle, ties and odd overlaps either way


def test_special_rows_are_averaged():
    whole = ragged([12])
    windows = plan_windows(whole, 7, prefix=1, suffix=1, overlap=0)
    outputs = torch.arange(len(windows.positions), dtype=torch.float64)[:, None].expand(-1, 3)
    stitched = windows.stitch(outputs, whole.offsets)
    assert stitched.values[0, 0] == (0 + 7) / 2
    assert stitched.values[11, 0] == (6 + 13) / 2


def test_windows_need_room():
    with pytest.raises(ValueError, match="windows of 4 rows leave no room beside 2 special and 2 shared rows"):
        plan_windows(ragged([9]), 4, prefix=1, suffix=1, overlap=2)
