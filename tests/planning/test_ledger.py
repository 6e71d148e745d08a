"""The account of bytes, on cases worked by hand."""

from __future__ import annotations

import torch

from labtune.memory import APART
from labtune.planning.ledger import LARGE, Ledger, fake_mode, size_of, small_size_of


def test_bytes_come_and_go():
    with Ledger(fake_mode()) as ledger:
        first = torch.zeros(1000)
        second = first + 1
        view = second[:10]
        assert ledger.live == 8000
        del second
        assert ledger.live == 8000  # the view holds its storage
        del view
        third = first.double()
        assert (ledger.live, ledger.peak) == (12000, 12000)
        del first, third
    assert (ledger.live, ledger.peak) == (0, 12000)


def test_what_is_known_is_not_counted():
    weight = torch.ones(50, 20, requires_grad=True)
    with Ledger(fake_mode(), [weight]) as ledger:
        loss = (weight * 2).square().sum()
        assert ledger.live == 4 * (1000 + 1)  # the doubled weight, which the square keeps, and the loss
        loss.backward()
        del loss
        assert ledger.live == 4 * 1000
    assert weight.grad is not None
    assert ledger.peak >= 3 * 4 * 1000


def test_what_was_counted_can_be_left_out():
    with Ledger(fake_mode()) as ledger:
        first, second = torch.zeros(10), torch.zeros(5)
        ledger.ignore(first)
        assert ledger.live == 20
        del first
        assert ledger.live == 20
        del second
    assert ledger.live == 0


def test_large_tensors_cost_nothing():
    mode = fake_mode()
    with Ledger(mode) as ledger:
        huge = torch.zeros(2**40)
        more = huge + torch.ones(LARGE, dtype=torch.bool).sum()
        assert ledger.live >= 2 * 4 * 2**40
    assert more.shape == (2**40,)


def test_blocks_that_share_a_heap():
    """The largest blocks are mapped apart, so only smaller ones leave holes."""
    with Ledger(fake_mode()) as ledger:
        small = torch.zeros(1000)
        second = small + 1
        large = torch.zeros(APART // 4)
        assert (ledger.peak, ledger.small) == (APART + 8000, 8000)
        del second, large
        assert (ledger.live_small, ledger.peak, ledger.small) == (4000, APART + 8000, 8000)
    assert small_size_of([small, small[:10], torch.empty(APART // 4)]) == 4000


def test_shared_storage_counts_once():
    tensor = torch.zeros(100)
    assert size_of([tensor, tensor[:50], tensor.view(10, 10)]) == 400
