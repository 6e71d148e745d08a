"""Scripts of ``benchmarks/``, which are no package, as modules."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import a script by its path below ``benchmarks/``; it and what it imports from there are forgotten afterwards."""
    before = set(sys.modules)

    def load(path: str) -> ModuleType:
        file = BENCHMARKS / path
        for folder in (BENCHMARKS, file.parent):
            monkeypatch.syspath_prepend(str(folder))
        return import_module(file.stem)

    yield load
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
