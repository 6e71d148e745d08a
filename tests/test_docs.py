"""The documentation says what the code says, and what it tells to type works."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from labtune.cli import build_parser, main
from labtune_finance.data import sample as sentences
from labtune_ner.data import sample as entities

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("plugins/*/README.md"), *ROOT.glob("*.md")])
QUICK = ["--encoder", "tiny", "--epochs", "1", "--set", "audit=quick"]


def commands(page):
    """Every line that a page tells to type."""
    blocks = re.findall(r"```(?:shell|bash|console|sh)\n(.*?)```", page.read_text(), re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.strip()]


def blocks(page):
    """Code blocks by the file that the line above the block's marker names."""
    found = re.findall(r"^`([\w/.]+)`\n\n<!-- [^>]* -->\n```\w+\n(.*?)```", page.read_text(), re.DOTALL | re.MULTILINE)
    return dict(found)


def test_what_comes_from_the_code_is_fresh():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert [page.name for page in generate.stale()] == [], "run: python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_known(page):
    for line in commands(page):
        words = shlex.split(line, comments=True)
        if words[:1] == ["labtune"]:
            build_parser().parse_args(words[1 : words.index(">") if ">" in words else None])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        assert target.startswith(("http://", "https://")) or (page.parent / target).exists(), target


@pytest.mark.slow
def test_run_a_task(tmp_path, monkeypatch, capsys):
    """Type everything on the page, on a tiny encoder."""
    monkeypatch.chdir(tmp_path)
    for part, path in entities().items():
        Path(f"{part}.txt").write_text("\n\n".join(path.read_text().split("\n\n")[:40]) + "\n\n")
    header, rest = sentences()["train"].read_text().split("\n", 1)
    Path("news.csv").write_text(f"{header.replace('text', 'headline').replace('label', 'tone')}\n{rest}")
    Path("new.txt").write_text("Anna Schmidt works in Oslo.\nIt rained.\n")
    for line in commands(DOCS / "run-a-task.md"):
        program, command, *words = shlex.split(line)
        assert program == "labtune"
        target = words[-1] if ">" in words else None
        words = words[:-2] if target else words
        with redirect_stdout(Path(target).open("w") if target else sys.stdout):
            assert main([command, *words, *(QUICK if command == "run" else [])]) == 0, line
    assert len(Path("new.jsonl").read_text().splitlines()) == 2
    [code] = re.findall(r"```python\n(.*?)```", (DOCS / "run-a-task.md").read_text(), re.DOTALL)
    capsys.readouterr()
    exec(code, {})
    assert capsys.readouterr().out
    assert main(["run", "first/run.toml", "--out", "again"]) == 0
    assert Path("again/predictions.jsonl").read_bytes() == Path("first/predictions.jsonl").read_bytes()


@pytest.fixture
def letters(tmp_path, monkeypatch):
    """The plugin of the page: written by the command, with the page's files, and made known as pip would."""
    monkeypatch.chdir(tmp_path)
    assert main(["new-plugin", "letters"]) == 0
    folder = tmp_path / "labtune-letters"
    for path, text in blocks(DOCS / "write-a-plugin.md").items():
        assert (folder / path).exists()
        (folder / path).write_text(text)
    info = folder / "labtune_letters-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: labtune-letters\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[labtune.plugins]\nletters = labtune_letters.plugin\n")
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.startswith("labtune_letters")]:
        del sys.modules[name]


def test_the_plugin_of_the_page_passes_its_checks(letters, capsys):
    assert len(blocks(DOCS / "write-a-plugin.md")) == 5
    assert main(["check", "letters"]) == 0
    assert "FAILED" not in capsys.readouterr().out


def test_the_plugin_of_the_page_runs(letters, capsys):
    typed = [line for line in commands(DOCS / "write-a-plugin.md") if line.startswith("labtune run")]
    assert len(typed) == 1
    assert main([*shlex.split(typed[0])[1:], "--out", "run"]) == 0
    assert "question_recall" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "told"),
    [("Letters", "'Letters' cannot name a plugin"), ("ner", "taken by labtune-ner"), ("here", "labtune-here exists")],
)
def test_a_plugin_is_not_written_over_another(name, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("labtune-here").mkdir()
    assert main(["new-plugin", name]) == 2
    assert told in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["labtune-here"]
