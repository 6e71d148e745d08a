"""The built-in parts keep the contract, in small tasks over each kind of labels."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch

import labtune.builtin.plugin
from labtune import Component, Labels, Preset, Ragged, Record, Task, hookimpl
from labtune.builtin.tokenizers import TextTokenizer
from labtune.catalog import load_catalog
from labtune.protocols import IGNORED, Batch
from labtune.testing import checks_of, parametrize_with_checks

WORDS = ["red", "green", "blue", "black", "white", "grey", "pink", "brown", "gold", "lime"]


@parametrize_with_checks(labtune.builtin.plugin)
def test_plugin(check):
    check()


class Characters(TextTokenizer):
    """A target for each token between the special ones."""

    def __call__(self, records: Sequence[Record]) -> Batch:
        batch = super().__call__([replace(record, target=None) for record in records])
        sizes = batch.tokens.lengths - self.prefix - self.suffix
        units = Ragged.from_rows([torch.arange(size) + self.prefix for size in sizes.tolist()])
        known = all(record.target is not None for record in records)
        targets = units.with_values(self._encode(records)) if known else None
        return replace(batch, records=records, units=units, targets=targets)

    def _encode(self, records: Sequence[Record]) -> torch.Tensor:
        flat = [item for record in records for item in record.target]
        if self.targets.labels.kind == "values":
            return torch.tensor(flat)
        return torch.tensor([IGNORED if item is None else self.targets.ids[item] for item in flat])


def classes() -> list[Record]:
    """Give a class a record."""
    return [Record(word, word, ["dark", "light"][index % 2]) for index, word in enumerate(WORDS)]


def sets() -> list[Record]:
    """Give any subset of names a record."""
    return [Record(word, word, [name for name in ("e", "r", "l") if name in word]) for word in WORDS]


def numbers() -> list[Record]:
    """Give a number a record."""
    return [Record(word, word, 1000.0 + index**2) for index, word in enumerate(WORDS)]


def pairs() -> list[Record]:
    """Give two numbers a record, of a pair of texts, some of them missing."""
    return [
        Record(word, (word, word[::-1]), [float(index), math.nan if index == 3 else -2.0 * index])
        for index, word in enumerate(WORDS)
    ]


def unit_classes() -> list[Record]:
    """Give a class a character, some of them missing."""
    return [Record(w, w, [None if c == "k" else "vowel" if c in "aeiou" else "other" for c in w]) for w in WORDS]


def unit_numbers() -> list[Record]:
    """Give a number a character."""
    return [Record(word, word, [float(ord(c)) for c in word]) for word in WORDS]


# name: examples, labels, tokenizer, head, loss, metric
TASKS = {
    "classes": (classes, Labels(kind="classes"), "text", "sequence", "cross_entropy", "classification"),
    "sets": (sets, Labels(kind="multilabel"), "text", "sequence", "binary_cross_entropy", "multilabel"),
    "numbers": (numbers, Labels(kind="values"), "text", "sequence", "mse", "regression"),
    "pairs": (pairs, Labels(kind="values"), "text", "sequence", "huber", "regression"),
    "units": (unit_classes, Labels(kind="classes"), "kit.characters", "token", "focal", "token_classification"),
    "chains": (unit_classes, Labels(kind="classes"), "kit.characters", "token_crf", "crf", "token_classification"),
    "profile": (
        unit_numbers,
        Labels(kind="values", names=("code",)),
        "kit.characters",
        "token",
        "mse",
        "regression",
    ),
}
VARIANTS = {
    "classes": {
        "first": {"head": {"pooling": "first"}, "loss": {"smoothing": 0.1}},
        "max": {"head": {"pooling": "max", "hidden_layer": True}, "loss": {"class_weights": "balanced"}},
        "attention": {"head": {"pooling": "attention"}, "loss": {"class_weights": [1, 2]}},
    }
}


def task(name: str) -> Task:
    """Describe one of the small tasks, with a preset for each variant."""
    examples, labels, tokenizer, head, loss, metric = TASKS[name]
    variants = {"plain": {}, **VARIANTS.get(name, {})}
    return Task(
        name=f"kit.{name}",
        summary="A small task.",
        reader="labtune.data.reading:read_table",
        tokenizer=tokenizer,
        head=head,
        loss=loss,
        metrics=(metric,),
        labels=labels,
        presets=tuple(Preset(name=key, settings={"encoder": "tiny", **more}) for key, more in variants.items()),
        examples=f"{__name__}:{examples.__name__}",
    )


@hookimpl
def labtune_tokenizers() -> list[Component]:
    """Offer the tokenizer of the tasks with units."""
    return [Component(name="kit.characters", target=f"{__name__}:Characters", summary="Characters.")]


@hookimpl
def labtune_tasks() -> list[Task]:
    """Offer the small tasks: this module is a plugin."""
    return [task(name) for name in TASKS]


def task_checks() -> dict[str, Callable[[], None]]:
    """Checks of the tasks; that the module itself is light is no aim here."""
    catalog = load_catalog({"kit": sys.modules[__name__]})
    found = checks_of(catalog.report.plugins[-1], catalog)
    return {name: check for name, check in found if name.startswith("kit.")}


CHECKS = task_checks()


@pytest.mark.parametrize("name", CHECKS)
def test_task(name):
    CHECKS[name]()
