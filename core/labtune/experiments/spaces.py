"""What a search tries: ranges and choices for settings, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from labtune.errors import SettingsError
from labtune.experiments.request import Request, takes
from labtune.settings import FIELDS, Layer, Settings, read_setting

DEFAULT: Mapping[str, Any] = {
    "method": ["full", "lora", "bitfit"],
    "learning_rate": {"low": 1e-5, "high": 5e-3, "log": True},
    "tuning.rank": [4, 8, 16, 32],
    "batch_size": [8, 16, 32, 64],
    "dropout": {"low": 0.0, "high": 0.3},
    "weight_decay": {"low": 1e-4, "high": 0.1, "log": True},
}
# A search reads and splits the data once, and its trials are told apart by nothing else than what it varies.
FIXED = ("task", "preset", "data", "reader", "split", "fractions", "seed")
TUNING = "tuning."


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole ones when both ends are. ``log``: by their logarithm."""

    low: float
    high: float
    log: bool = False


Dimension: TypeAlias = Range | tuple[Any, ...]
Space: TypeAlias = Mapping[str, Dimension]


def build_space(request: Request) -> Space:
    """Return the default space with the preset's own ranges, less what the user has decided.

    Parameters
    ----------
    request
        The task and what was said about its settings; a setting said there is not searched.

    Returns
    -------
    Space
        By setting or ``table.option``; the method first, because others depend on it.

    Raises
    ------
    SettingsError
        If the preset's ranges are not well formed, or nothing is left to search.
    """
    base = request.base()
    preset = request.catalog.task(base.task).preset(base.preset)
    source = f"the search of preset {preset.name!r} of {base.task!r}"
    given = request.given()
    merged = {name: value for name, value in {**DEFAULT, **preset.search}.items() if name not in given}
    space = {name: _dimension(name, value, source) for name, value in merged.items() if value is not None}
    if "method" in space:
        space = {
            "method": _going(request, space["method"]),
            **{name: space[name] for name in space if name != "method"},
        }
    methods = choices(space, "method") if "method" in space else (base.method,)
    request.check_tuning(methods)
    space = {name: part for name, part in space.items() if any(applies(name, method) for method in methods)}
    if not space:
        raise SettingsError("nothing is left to search: every setting was given")
    return space


def choices(space: Space, name: str) -> tuple[Any, ...]:
    """Return the choices of a dimension; empty for a range."""
    found = space[name]
    return () if isinstance(found, Range) else found


def applies(name: str, method: str) -> bool:
    """Say whether a setting means anything with a method: its options only do with the methods that take them."""
    return not name.startswith(TUNING) or takes(method, name.removeprefix(TUNING))


def settings_of(request: Request, values: Mapping[str, Any]) -> Settings:
    """Return the settings with the values that a trial tries; options by ``table.option``."""
    flags: dict[str, Any] = {}
    for name, value in values.items():
        table, dot, option = name.partition(".")
        if dot:
            flags.setdefault(table, {})[option] = value
        else:
            flags[table] = value
    return request.settings(**flags)


def _going(request: Request, methods: Dimension) -> Dimension:
    """Return the methods that go with the bits; raises SettingsError when none does."""
    kept, refused = [], None
    for method in () if isinstance(methods, Range) else methods:
        try:
            request.settings(method=method)
            kept.append(method)
        except SettingsError as error:
            refused = error
    if refused and not kept:
        raise refused
    return tuple(kept)


def _dimension(name: str, value: Any, source: str) -> Dimension:
    where = f"{name} in {source}"
    table, dot, _ = name.partition(".")
    if table in FIXED or table not in FIELDS or (dot != "") != ("table" in FIELDS[table].metadata):
        raise SettingsError(f"{where} is no setting that can be searched")
    if isinstance(value, Mapping):
        return _range(name, value, source, where)
    if not isinstance(value, list | tuple) or not value:
        raise SettingsError(f"{where} must be a list of choices, or a table with low and high, not {value!r}")
    return tuple(value) if dot else tuple(read_setting(name, Layer(source, {name: item})) for item in value)


def _range(name: str, value: Mapping[str, Any], source: str, where: str) -> Range:
    try:
        found = Range(**value)
        usable = found.low < found.high and (found.low > 0 or not found.log)
    except TypeError:
        usable = False
    if not usable:
        raise SettingsError(f"{where} must have low < high, above 0 with log, and nothing else, not {dict(value)!r}")
    if "." not in name:
        for end in (found.low, found.high):
            read_setting(name, Layer(source, {name: end}))
    return found
