"""Compiled blocks: a GPU is not at hand, so what is tested is that torch can trace them as a whole."""

from __future__ import annotations

import logging

import pytest
import torch

from labtune.catalog import load_catalog
from labtune.encoder import attention
from labtune.encoder.compiling import compile_blocks
from labtune.encoder.fresh import fresh_encoder
from labtune.ragged import Ragged

SHAPE = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "num_hidden_layers": 3}


@pytest.fixture
def encoder():
    return fresh_encoder("protein.mini", load_catalog(), config=SHAPE, seed=0)


def some_attention(query, key, value, bounds, _, longest, *more, **options):
    """Stands for a GPU's kernel: any function of what such a kernel is given."""
    return query + key + value + longest / len(bounds)


def batches():
    generator = torch.Generator().manual_seed(0)
    for lengths in ([30, 7, 65], [12, 90, 33, 5], [8, 9]):
        yield {"input_ids": Ragged.from_rows([torch.randint(4, 24, (size,), generator=generator) for size in lengths])}


def test_a_block_is_one_graph_for_batches_of_any_lengths(encoder, monkeypatch):
    monkeypatch.setattr(attention, "_has_kernel", lambda rows: True)
    monkeypatch.setattr(attention, "varlen_attn", some_attention)
    expected = [encoder(batch).values.detach() for batch in batches()]
    traced = []

    def keep(graph, inputs):
        traced.append(graph)
        return graph.forward

    for block in encoder.blocks:
        block.compile(dynamic=True, fullgraph=True, backend=keep)  # as compile_blocks, but that breaks are errors
    for batch, states in zip(batches(), expected, strict=True):
        found = encoder(batch).values
        torch.testing.assert_close(found, states)
        found.sum().backward()
    assert 1 <= len(traced) <= 2  # blocks of one shape share what was compiled
    assert all(parameter.grad is not None for parameter in encoder.blocks[0].parameters())


def test_on_a_cpu_nothing_is_compiled(encoder, caplog):
    with caplog.at_level(logging.INFO):
        compile_blocks(encoder, torch.device("cpu"))
    assert "GPUs alone" in caplog.text
    assert all(block._compiled_call_impl is None for block in encoder.blocks)
