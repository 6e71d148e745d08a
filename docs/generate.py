"""Fill in what the documentation takes from the code: ``python docs/generate.py``, or with ``--check`` only compare.

A page holds blocks between ``<!-- from the code: NAME -->`` and ``<!-- end -->``; what is between them is replaced.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from labtune import hookspecs, protocols, specs
from labtune.catalog import resolve
from labtune.cli import build_parser
from labtune.encoder.methods import METHODS
from labtune.encoder.methods.rates import DEFAULTS
from labtune.plugins import KINDS, PREFIX
from labtune.scaffold import render
from labtune.settings import Settings

FOLDER = Path(__file__).parent
BLOCK = re.compile(r"(<!-- from the code: ([\w/.]+) -->\n).*?(<!-- end -->)", re.DOTALL)
EXAMPLE = "letters"  # the name of the plugin in write-a-plugin.md
LANGUAGES = {".py": "python", ".toml": "toml", ".csv": "text", ".md": "markdown"}


def commands() -> str:
    """Describe every command with its arguments."""
    [subparsers] = [action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    helps = {choice.dest: choice.help or "" for choice in subparsers._choices_actions}
    return "\n".join(_command(name, helps[name], parser) for name, parser in subparsers.choices.items())


def _command(name: str, summary: str, parser: argparse.ArgumentParser) -> str:
    told = parser.description or f"{summary[0].upper()}{summary[1:]}."
    rows = [row for action in parser._actions if action.dest != "help" for row in [_argument(action)]]
    table = ["| argument | meaning |", "| --- | --- |", *rows] if rows else []
    return "\n".join([f"## labtune {name}", "", told, "", *table, ""])


def _argument(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    name = ", ".join(f"{option} {value}".strip() for option in action.option_strings) or value
    return f"| `{_cell(name)}` | {_cell((action.help or '').replace('%%', '%'))} |"


def settings() -> str:
    """List every setting with its default and what it accepts."""
    about = parameters(Settings)
    rows = []
    for item in fields(Settings):
        default = _default(item)
        words = item.metadata.get("words", "")
        rows.append(f"| `{item.name}` | {f'`{default}`' if default else ''} | {_cell(words)} | {about[item.name]} |")
    return "\n".join(["| setting | default | accepts | meaning |", "| --- | --- | --- | --- |", *rows, ""])


def _default(item: Any) -> str:
    value = item.default if isinstance(item.default, str | int | float | tuple | type(None)) else ""
    return "auto" if value is None else str(list(value) if isinstance(value, tuple) else value)


def hooks() -> str:
    """Give every hook with its signature and what it says."""
    found = []
    for kind in KINDS:
        function = getattr(hookspecs, f"{PREFIX}{kind}")
        found.append(f"```python\ndef {function.__name__}{_signature(function)}\n```\n\n{_plain(function.__doc__)}\n")
    return "\n".join(found)


def records() -> str:
    """Give the fields of every record that flows between core and plugins."""
    return "\n".join(_fields(kind) for kind in (specs.Component, specs.Labels, specs.Preset, specs.Task))


def data() -> str:
    """Give the fields of what flows through a run."""
    kinds = (specs.Record, specs.Prediction, protocols.Batch, protocols.Output)
    return "\n".join(_fields(kind) for kind in kinds)


def _fields(kind: Any) -> str:
    about = parameters(kind)
    summary = inspect.cleandoc(kind.__doc__).split("\n\n")[0].replace("\n", " ")
    rows = [f"| `{item.name}` | `{_cell(str(item.type))}` | {about.get(item.name, '')} |" for item in fields(kind)]
    head = [f"### {kind.__name__}", "", _plain(summary), "", "| field | type | meaning |", "| --- | --- | --- |"]
    return "\n".join([*head, *rows, ""])


def parts() -> str:
    """Give the methods that each kind of part must have."""
    kinds = (protocols.Tokenizer, protocols.Head, protocols.Loss, protocols.Metric, protocols.AdditiveMetric)
    return "\n".join(_protocol(kind) for kind in kinds)


def _protocol(kind: Any) -> str:
    methods = [
        f"    def {name}{_signature(method)}: ...\n        # {_plain(method.__doc__)}"
        for name, method in vars(kind).items()
        if callable(method) and method.__doc__ and name not in ("__init__", "__subclasshook__")
    ]
    summary = inspect.cleandoc(kind.__doc__).split("\n\n")[0].replace("\n", " ")
    return "\n".join(["```python", f"class {kind.__name__}:", f"    # {_plain(summary)}", *methods, "```", ""])


def parameters(kind: Any) -> dict[str, str]:
    """Read the parameters of a numpy docstring: one line of text by name."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("Parameters\n----------\n")[2]
    found: dict[str, str] = {}
    names: list[str] = []
    for line in text.splitlines():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(",")]
        elif line.strip():
            for name in names:
                found[name] = f"{found.get(name, '')} {_cell(_plain(line.strip()))}".strip()
    return found


def methods() -> str:
    """List the fine-tuning methods with their options and learning rates."""
    head = ["| method | what learns | options, with defaults | learning rates |", "| --- | --- | --- | --- |"]
    rows = []
    for name, target in METHODS.items():
        kind = resolve(target)
        about = {option: text for base in reversed(kind.__mro__) for option, text in parameters(base).items()}
        options = [
            f"`{item.name}` ({'not set' if item.default is None else str(item.default).lower()}): {about[item.name]}"
            for item in fields(kind)
        ]
        summary = inspect.cleandoc(kind.__doc__).split("\n\n")[0].replace("\n", " ")
        rates = ", ".join(f"{rate:g}" for rate in DEFAULTS[name])
        rows.append(f"| `{name}` | {_cell(_plain(summary))} | {'<br>'.join(options)} | {rates} |")
    return "\n".join([*head, *rows, ""])


def layers() -> str:
    """Show the import layers that import-linter holds."""
    contracts = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [found] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return "\n".join(["```text", *(layer.replace("labtune.", "") for layer in found), "```", ""])


def example(path: str) -> str:
    """Give one file of the example plugin."""
    return f"```{LANGUAGES[Path(path).suffix]}\n{render(EXAMPLE)[path]}```\n"


def _signature(function: Any) -> str:
    return str(inspect.signature(function)).replace("'", "")


def _plain(text: str) -> str:
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


BLOCKS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "settings": settings,
    "hooks": hooks,
    "records": records,
    "data": data,
    "layers": layers,
    "methods": methods,
    "parts": parts,
}


def filled(text: str) -> str:
    """Replace every block of a page."""

    def block(match: re.Match[str]) -> str:
        name = match[2]
        content = BLOCKS[name]() if name in BLOCKS else example(name)
        return f"{match[1]}{content}{match[3]}"

    return BLOCK.sub(block, text)


def stale() -> Iterator[Path]:
    """Yield the pages that do not say what the code says."""
    for page in sorted(FOLDER.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if filled(text) != text:
            yield page


def main() -> int:
    """Fill in every page, or tell which are stale."""
    check = "--check" in sys.argv[1:]
    for page in stale():
        print(f"{page.name} {'is stale: run python docs/generate.py' if check else 'filled in'}")
        if check:
            return 1
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
