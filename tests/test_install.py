"""The distributions agree with each other, and their wheels install and run in an environment of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest

import labtune

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
CORE = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_version_is_said_twice_and_alike():
    assert CORE["project"]["version"] == labtune.__version__


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_a_plugin_fits_the_core(folder):
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == f"labtune-{folder.name}"
    assert project["version"] == labtune.__version__
    assert project["entry-points"]["labtune.plugins"] == {folder.name: f"labtune_{folder.name}.plugin"}
    assert "labtune>=0.1,<0.2" in project["dependencies"]
    for key in ("license", "requires-python", "authors"):
        assert project[key] == CORE["project"][key]


def test_every_plugin_is_listed_wherever_plugins_are():
    names = [folder.name for folder in PLUGINS]
    modules = [f"labtune_{name}" for name in names]
    required = (ROOT / "requirements-dev.txt").read_text()
    assert re.findall(r"-e plugins/(\w+)", required) == names
    assert [f"labtune-{name}" for name in names] == sorted(CORE["tool"]["uv"]["sources"].keys() - {"labtune"})
    developed = {requirement.split("[")[0] for requirement in CORE["dependency-groups"]["dev"]}
    assert {f"labtune-{name}" for name in names} <= developed
    assert CORE["tool"]["importlinter"]["root_packages"] == ["labtune", *modules]
    contracts = CORE["tool"]["importlinter"]["contracts"]
    assert modules in [contract.get("modules") for contract in contracts]


def call(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Build all wheels, the core's with build and the plugins' with uv: folder of the source to wheel."""
    out = tmp_path_factory.mktemp("wheels")
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT)
    for folder in PLUGINS:
        call(
            uv(), "build", "--wheel", "--no-build-isolation", "--offline", "--python", sys.executable, "-o", out, folder
        )
    return {path.name.split("-")[0]: path for path in out.glob("*.whl")}


def uv():
    return Path(sysconfig.get_path("scripts")) / "uv"


@pytest.mark.slow
@pytest.mark.parametrize("source", [ROOT / "core", *PLUGINS], ids=lambda source: source.name)
def test_wheels_hold_the_package_and_nothing_else(source, wheels):
    name = "labtune" if source.name == "core" else f"labtune_{source.name}"
    with ZipFile(wheels[name]) as archive:
        names = set(archive.namelist())
        [about] = [entry for entry in names if entry.endswith("/METADATA")]
        metadata = message_from_bytes(archive.read(about))
    info = about.removesuffix("METADATA")
    inside = {str(path.relative_to(source)) for path in files_of(source / name)}
    assert {entry for entry in names if not entry.startswith(info)} == inside
    assert f"{info}licenses/LICENSE" in names
    assert f"{info}entry_points.txt" in names
    assert metadata["License-Expression"] == "Apache-2.0"


def files_of(folder):
    """Files of a package, without what Python caches."""
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


@pytest.fixture(scope="module", params=["pip", "uv"])
def environment(request, wheels, tmp_path_factory):
    """A new environment with the wheels; third-party libraries are borrowed from this one, so nothing is downloaded."""
    folder = tmp_path_factory.mktemp(request.param) / "env"
    if request.param == "pip":
        call(sys.executable, "-m", "venv", folder)
        call(folder / "bin" / "pip", "install", "--no-index", "--no-deps", *wheels.values())
    else:
        call(uv(), "venv", "--offline", "--python", sys.executable, folder)
        install = [
            uv(),
            "pip",
            "install",
            "--offline",
            "--no-index",
            "--no-deps",
            "--python",
            folder / "bin" / "python",
        ]
        call(*install, *wheels.values())
    [site] = folder.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def clean():
    """The variables of this process without what could lead back to the source tree."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LABTUNE", "VIRTUAL"))}
    return {**kept, "HF_HUB_OFFLINE": "1"}


@pytest.mark.slow
def test_the_wheels_work(environment, tmp_path):
    options = {"cwd": tmp_path, "env": clean()}
    code = "import labtune, labtune_ner; print(labtune.__file__, labtune_ner.__file__)"
    homes = call(environment / "bin" / "python", "-c", code, **options).split()
    assert [home.startswith(str(environment)) for home in homes] == [True, True]
    told = call(environment / "bin" / "labtune", "tasks", **options)
    assert {"ner.conll2003", "finance.sentiment"} <= set(told.split())
    words = ["run", "ner.conll2003", "--encoder", "tiny", "--epochs", "1", "--set", "audit=quick", "--out", "run"]
    assert "report: run/report.html" in call(environment / "bin" / "labtune", *words, **options)
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_a_new_plugin_installs_and_passes_its_checks(environment, tmp_path):
    options = {"cwd": tmp_path, "env": clean()}
    program = environment / "bin" / "labtune"
    call(program, "new-plugin", "letters", **options)
    python = ["--python", environment / "bin" / "python"]
    call(
        uv(),
        "pip",
        "install",
        "--offline",
        "--no-deps",
        "--no-build-isolation",
        *python,
        "./labtune-letters",
        **options,
    )
    call(environment / "bin" / "python", "-m", "pytest", "-q", "labtune-letters/tests", **options)
    assert "letters.questions" in call(program, "tasks", **options)
