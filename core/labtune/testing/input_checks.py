"""Checks of what goes into a model: examples, bundled files and the tokenizer."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from labtune.catalog import resolve
from labtune.data.dataset import load_records
from labtune.data.labels import check_labels
from labtune.testing.bench import TaskBench, check_shape

ENOUGH = 8  # examples


def check_examples(bench: TaskBench) -> None:
    """At least eight labelled examples with ids of their own, always the same, without a network."""
    with _no_network():
        first, second = resolve(bench.task.examples)(), resolve(bench.task.examples)()
    assert len(first) >= ENOUGH, f"{len(first)} examples; give at least {ENOUGH}"
    assert first == second, "two calls give different examples"
    assert all(record.target is not None for record in first), "an example has no target"
    assert len({record.id for record in first}) == len(first), "two examples share an id"


def check_sample(bench: TaskBench) -> None:
    """The bundled files can be read with labels, which the examples have too, and without."""
    if not bench.task.sample:
        return
    for part, path in resolve(bench.task.sample)().items():
        options = bench.settings.reader
        records = load_records(bench.task, Path(path), labelled=True, options=options)
        if bench.task.labels.names:
            check_labels(bench.task.labels, records, part)
        bare = load_records(bench.task, Path(path), labelled=False, options=options)
        assert [record.id for record in bare] == [record.id for record in records], (
            f"{path}: read without labels it has other records"
        )
        assert all(record.target is None for record in bare), f"{path}: read with labelled=False it has targets"


def check_tokenizer(bench: TaskBench) -> None:
    """Inputs, units and targets belong together, and unlabelled records give the same tokens."""
    tokenizer = bench.build().tokenizer
    batch = tokenizer(bench.records)
    check_shape(batch, bench.records)
    bare = tokenizer([replace(record, target=None) for record in bench.records])
    assert bare.targets is None, "unlabelled records get targets"
    assert torch.equal(bare.tokens.values, batch.tokens.values), "the tokens depend on the target"


def check_tokenizer_alone(bench: TaskBench) -> None:
    """A record is tokenised the same alone as among others."""
    for row, record in enumerate(bench.records):
        alone, among = bench.parts.tokenizer([record]), bench.batch.select([row])
        for name, ragged in alone.inputs.items():
            same = torch.equal(ragged.values, among.inputs[name].values)
            assert same, f"record {record.id!r}: input {name!r} depends on the other records of its batch"


INPUT_CHECKS: Mapping[str, Callable[[TaskBench], None]] = {
    "examples": check_examples,
    "sample": check_sample,
    "tokenizer": check_tokenizer,
    "tokenizer_alone": check_tokenizer_alone,
}


@contextmanager
def _no_network() -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the examples open a network connection")

    with mock.patch.object(socket.socket, "connect", refuse):
        yield
