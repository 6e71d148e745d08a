"""A small training on the tiny encoder, in pieces that tests can hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labtune.builtin.heads import SequenceHead
from labtune.builtin.losses import CrossEntropy
from labtune.builtin.metrics import Classification
from labtune.builtin.tokenizers import TextTokenizer
from labtune.encoder.methods.rates import Course
from labtune.encoder.tiny import build
from labtune.model import Model
from labtune.settings import Settings
from labtune.specs import Labels, Record
from labtune.training.training import Training

LABELS = Labels(kind="classes", names=("a", "b"))


def _records(count: int) -> list[Record]:
    return [Record(str(row), "ab"[row % 2] * (1 + row * 7 % 40), "ab"[row % 2]) for row in range(count)]


@pytest.fixture
def training(tmp_path: Path) -> Callable[..., Training]:
    """Build a training of 24 records of 3 to 42 tokens, without dropout, in float32; settings by name."""

    def build_training(*, frozen: bool = False, **options: Any) -> Training:
        chosen: dict[str, Any] = {"epochs": 2, "batch_size": 10, "dropout": 0.0, "precision": "float32", **options}
        settings = Settings(task="t", encoder="tiny", **chosen)
        encoder = build().requires_grad_(not frozen)
        for module in encoder.modules():
            if hasattr(module, "p"):
                module.p = settings.dropout
        model = Model(encoder, SequenceHead(encoder.width, LABELS, dropout=settings.dropout))
        tokenizer = TextTokenizer(encoder.tokenizer, LABELS)
        (tmp_path / "run").mkdir(exist_ok=True)
        return Training(
            model=model,
            loss=CrossEntropy(LABELS),
            metric=Classification(LABELS),
            train=tokenizer(_records(24)),
            valid=tokenizer(_records(9)),
            settings=settings,
            rates={name: Course(1e-3) for name in model.trainable()},
            checkpoints=tmp_path / "run" / "checkpoints",
            log=tmp_path / "run" / "log.jsonl",
        )

    return build_training
