"""The start of a new plugin: a whole small distribution that installs, passes its checks and runs.

The files under ``template`` are those of the example in ``docs/write-a-plugin.md``. In them ``package`` stands for the
package's name, ``{{name}}`` for the plugin's, and ``{{range}}`` for the core versions that it goes with.
"""

from __future__ import annotations

import re
import shutil
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import labtune
from labtune.errors import PluginError
from labtune.plugins import load_plugins

SUFFIX = ".in"  # keeps tools from taking a template for the file itself


def render(name: str) -> dict[str, str]:
    """Fill in the template: the text of each file, by its path in the distribution's folder."""
    major, minor, *_ = labtune.__version__.split(".")
    words = {"{{name}}": name, "{{range}}": f">={major}.{minor},<{major}.{int(minor) + 1}"}
    rendered = {}
    for path, text in _texts(files(__name__) / "template", ""):
        for mark, word in words.items():
            text = text.replace(mark, word)
        rendered[path.removesuffix(SUFFIX).replace("package/", f"labtune_{name}/")] = text
    return rendered


def create(name: str, parent: Path) -> Path:
    """Write the distribution ``labtune-NAME`` into a folder of that name.

    Raises
    ------
    PluginError
        If the name cannot be that of a package, or it or the folder is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise PluginError(f"{name!r} cannot name a plugin: use small letters, digits and _, a letter first")
    for plugin in load_plugins().plugins:
        if plugin.name == name:
            raise PluginError(f"the plugin name {name!r} is taken by {plugin.origin}; choose another")
    folder = parent / f"labtune-{name.replace('_', '-')}"
    if folder.exists():
        raise PluginError(f"{folder} exists; remove it or choose another name")
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        for path, text in render(name).items():
            target = partial / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        partial.rename(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise PluginError(f"{folder}: cannot write ({error.strerror})") from error
    return folder


def _texts(folder: Traversable, prefix: str) -> list[tuple[str, str]]:
    found = []
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        path = f"{prefix}{item.name}"
        if item.is_dir():
            found += _texts(item, f"{path}/")
        elif item.name.endswith(SUFFIX):
            found.append((path, item.read_text(encoding="utf-8")))
    return found
