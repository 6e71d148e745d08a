"""What tests of proteins share: no network, the real data when it is there, and a vocabulary."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub

import pytest

from labtune_protein.vocabulary import build


@pytest.fixture(scope="session")
def bio():
    """The folder of real biological data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("LABTUNE_DATA", Path(__file__).parents[4] / "shared" / "data")) / "bio"
    if not folder.is_dir():
        pytest.skip("no real data here: set LABTUNE_DATA")
    return folder


@pytest.fixture(scope="session")
def vocabulary():
    """The vocabulary of protein.mini."""
    return build()


@pytest.fixture(scope="session")
def recipe() -> Iterator[Callable[[str], ModuleType]]:
    """Import a script of ``recipe/``; these are not part of the package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "recipe")
        yield importlib.import_module
