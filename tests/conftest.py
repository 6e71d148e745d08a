"""What tests share: no network, the real data when it is there, and small real distributions."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]

DEMO = """
from labtune import Component, Labels, Preset, Task, hookimpl

@hookimpl
def labtune_tasks():
    return [
        Task(
            name="demo.words",
            summary="Words for tests.",
            reader="labtune_demo:read",
            tokenizer="text",
            head="sequence",
            loss="focal",
            metrics=("classification",),
            labels=Labels(kind="classes", names=("no", "yes")),
            presets=(
                Preset(name="small", summary="quick", settings={"encoder": "tiny", "loss": {"gamma": 1.5}}),
                Preset(name="large", settings={"encoder": "tiny", "method": "lora", "learning_rate": 1e-3}),
            ),
            examples="labtune_demo:examples",
            options={"loss": {"gamma": 3.0}, "reader": {"column": "text"}},
        )
    ]
"""


SENTENCES = "Anna B-PER\nmet O\nBob B-PER\nin O\nParis B-LOC\n\nRain O\nin O\nOslo B-LOC\n\n"
TABLE = "text,label\nprofit rose,positive\nsales fell,negative\nno change,neutral\n"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own switches, and the precision of an earlier test's run, out of the tests."""
    for name in ("LABTUNE_STRICT", "LABTUNE_DISABLE_PLUGINS", "LABTUNE_DEBUG", "RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    if "accelerate.state" in sys.modules:
        sys.modules["accelerate.state"].AcceleratorState._reset_state()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("LABTUNE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real data here: set LABTUNE_DATA")
    return folder


def write_distribution(
    site: Path, name: str, source: str, *, version: str = "1.0", point: str = "", requires: Sequence[str] = ()
) -> None:
    """Write what installing a distribution of one plugin module leaves in a site-packages folder."""
    module = name.replace("-", "_")
    info = site / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    (site / f"{module}.py").write_text(dedent(source))
    header = [
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}",
        *(f"Requires-Dist: {line}" for line in requires),
    ]
    (info / "METADATA").write_text("\n".join(header) + "\n")
    (info / "entry_points.txt").write_text(f"[labtune.plugins]\n{point or name.removeprefix('labtune-')} = {module}\n")
    (info / "RECORD").write_text(f"{module}.py,,\n")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a distribution for this process; the arguments are those of :func:`write_distribution`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def write(name: str, source: str, **about: object) -> None:
        monkeypatch.delitem(sys.modules, name.replace("-", "_"), raising=False)
        write_distribution(site, name, source, **about)

    return write


@pytest.fixture(scope="session")
def demo_source() -> str:
    """Return the source of a plugin with the task ``demo.words``."""
    return DEMO


@pytest.fixture
def demo(install: Callable[..., None]) -> None:
    """Install that plugin."""
    install("labtune-demo", DEMO)


def run_labtune(*words: str, site: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the real command line in a process of its own."""
    paths = [str(site)] if site else []
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LABTUNE_", "PYTHONPATH"))}
    return subprocess.run(
        [sys.executable, "-m", "labtune.cli", *words],
        env={**plain, "PYTHONPATH": os.pathsep.join([*paths, str(ROOT / "core")]), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def labtune() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``labtune`` as a user does: words, ``site=`` a folder of distributions, further environment variables."""
    return run_labtune


@pytest.fixture(scope="session")
def new_distribution() -> Callable[..., None]:
    """Write a distribution into a folder of the test's choice; see :func:`write_distribution`."""
    return write_distribution


@pytest.fixture(scope="session")
def sentences() -> str:
    """Return two sentences with entities, as a column file."""
    return SENTENCES


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with a good file for entities and one for a table of texts."""
    monkeypatch.chdir(tmp_path)
    Path("good.txt").write_text(SENTENCES)
    Path("good.csv").write_text(TABLE)
    return tmp_path


@pytest.fixture
def refused(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must fail: returns its one line; the folder must stay as it was."""
    from labtune import cli

    def check(*words: object) -> str:
        before = _sizes(here)
        capsys.readouterr()
        assert cli.main([str(word) for word in words]) == 2
        told = capsys.readouterr()
        *progress, line = told.err.splitlines()
        assert line.startswith("error: ")
        assert not [other for other in progress if other.startswith(("error", "Traceback"))]
        assert len(line) < 500
        assert _sizes(here) == before
        return line

    return check


def _sizes(folder: Path) -> dict[str, int]:
    """Size of every file but what Python compiles, which it leaves wherever a plugin is imported from."""
    found = (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.stat().st_size for path in found}
