"""The script of the grid says in a line what it cannot run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def grid(script: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    source = tmp_path / "data" / "text" / "financial_phrasebank"
    source.mkdir(parents=True)
    lines = [f"Profit number {number} rose .@positive" for number in range(1200)]
    (source / "Sentences_AllAgree.txt").write_text("\n".join(lines), encoding="latin-1")
    monkeypatch.setenv("LABTUNE_DATA", str(tmp_path / "data"))
    return script("quality/grid.py")


@pytest.mark.parametrize(
    ("before", "arguments", "message"),
    [
        (None, ["--methods", "full", "--bits", "16", "4"], "nothing to compare: 16 bits store frozen weights"),
        ("notes.txt", ["--methods", "head", "--bits", "32"], "choose another --out"),
    ],
)
def test_what_cannot_be_run_is_told(
    grid: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    before: str | None,
    arguments: list[str],
    message: str,
) -> None:
    out = tmp_path / "out"
    if before:
        (out / "phrasebank").mkdir(parents=True)
        (out / "phrasebank" / before).write_text("mine")
    monkeypatch.setattr(sys, "argv", ["grid.py", "phrasebank", "--out", str(out), *arguments])
    with pytest.raises(SystemExit) as stopped:
        grid.main()
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
