"""Fields of the settings: each says in words what it accepts, and checks it.

Every function here makes a dataclass field with the metadata ``words`` and ``read``; ``read`` returns the accepted
value or raises ValueError.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any


def text(default: Any = "") -> Any:
    """Accept a text or path."""

    def read(value: Any) -> str:
        if not isinstance(value, str | os.PathLike):
            raise ValueError
        return os.fspath(value)

    return _field(default, "a text", read)


def texts() -> Any:
    """Accept a list of texts, or one; it is empty by default."""

    def read(value: Any) -> tuple[str, ...]:
        values = (value,) if isinstance(value, str) else tuple(value)
        if not all(isinstance(item, str) for item in values):
            raise ValueError
        return values

    return _field((), "a list of texts", read)


def choice(default: Any, *others: Any) -> Any:
    """Accept one of a few values, of which the first is the default."""
    choices = [default, *others]

    def read(value: Any) -> Any:
        if isinstance(value, bool) or value not in choices:
            raise ValueError
        return choices[choices.index(value)]

    return _field(default, f"one of {', '.join(map(str, choices))}", read)


def switch() -> Any:
    """Accept true or false; it is false by default."""

    def read(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    return _field(False, "true or false", read)


def whole(default: int, *, low: int = 0) -> Any:
    """Accept an integer of at least ``low``."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise ValueError
        return value

    return _field(default, f"a whole number, {low} or more", read)


def number(default: float, *, below: float = math.inf) -> Any:
    """Accept a finite number of at least 0 and below ``below``."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < below:
            raise ValueError
        return float(value)

    limit = f" and below {below:g}" if below < math.inf else ""
    return _field(default, f"a number, 0 or more{limit}", read)


def auto(inner: Any) -> Any:
    """Accept also ``"auto"``, which stands for None in files and on the command line, and is the default."""

    def read(value: Any) -> Any:
        return None if value in (None, "auto") else inner.metadata["read"](value)

    return _field(None, f"{inner.metadata['words']}, or auto", read)


def shares(*default: float) -> Any:
    """Accept as many numbers as the default has, all above 0, that sum to 1."""

    def read(value: Any) -> tuple[float, ...]:
        parts = tuple(map(float, value))
        if len(parts) != len(default) or min(parts) <= 0 or not math.isclose(sum(parts), 1):
            raise ValueError
        return parts

    return _field(default, f"{len(default)} numbers above 0 that sum to 1", read)


def table() -> Any:
    """Accept a table of options; it is empty by default."""
    metadata = {"words": "a table of options in the types of TOML", "read": _plain_table, "table": True}
    return field(default_factory=dict, metadata=metadata)


def _field(default: Any, words: str, read: Callable[[Any], Any]) -> Any:
    return field(default=default, metadata={"words": words, "read": read})


def _plain_table(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError
    return {str(key): _plain(item) for key, item in value.items()}


def _plain(value: Any) -> Any:
    """Return the value as TOML would give it back, so that a run and its repetition get the same."""
    if isinstance(value, Mapping):
        return _plain_table(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if not isinstance(value, str | int | float | bool):
        raise ValueError
    return value
