"""What the user asked of several runs, and the settings of each."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from labtune.catalog import Catalog, resolve
from labtune.encoder.methods import METHODS
from labtune.errors import RunError, SettingsError
from labtune.settings import Settings, resolve_settings, set_layer

FOLDS = "cv:"  # a split that is many runs


@dataclass(frozen=True)
class Request:
    """A task, and what was said about its settings; see :func:`labtune.settings.resolve_settings`."""

    catalog: Catalog
    task: str
    flags: Mapping[str, Any] = field(default_factory=dict)
    sets: Sequence[str] = ()

    def given(self) -> dict[str, Any]:
        """What was said beside the task's preset and file, by name; options as ``table.option``."""
        layers = [{name: value for name, value in self.flags.items() if value is not None}]
        layers += [dict(set_layer(assignment).values) for assignment in self.sets]
        found: dict[str, Any] = {}
        for name, value in (item for layer in layers for item in layer.items()):
            found |= {f"{name}.{key}": entry for key, entry in value.items()} if isinstance(value, Mapping) else {}
            found |= {} if isinstance(value, Mapping) else {name: value}
        return found

    def base(self) -> Settings:
        """Return the settings as they are before the bits are chosen, which not every method goes with."""
        sets = [assignment for assignment in self.sets if "bits" not in set_layer(assignment).values]
        return resolve_settings(self.catalog, self.task, {**self.flags, "bits": None}, sets)

    def settings(self, **values: Any) -> Settings:
        """Return the settings with some values changed.

        The learning rate and the options of the preset's (or file's) method are not carried over to another method,
        which has its own defaults. Options that were given beside them go to the methods that take them.

        Raises
        ------
        SettingsError
            If a value is not acceptable, or values do not go with each other.
        """
        base = self.base()
        method = values.get("method", base.method)
        tuning = {**self._given_tuning(), **values.pop("tuning", {})}
        other = {} if method == base.method else {"learning_rate": "auto"}
        if base.split.startswith(FOLDS):
            raise SettingsError(
                f"split {base.split} makes several runs of one; choose a split of one, such as stratified"
            )
        settings = resolve_settings(self.catalog, self.task, {**other, **self.flags, **values}, self.sets)
        kept = settings.tuning if method == base.method else {}
        chosen = {**{name: value for name, value in kept.items() if name not in tuning}, **_taken(method, tuning)}
        return replace(settings, tuning=chosen)

    def check_tuning(self, methods: Iterable[str]) -> None:
        """Raise SettingsError for a given option that none of the methods takes."""
        for option in self._given_tuning():
            if not any(takes(method, option) for method in methods):
                raise SettingsError(f"none of the methods {', '.join(methods)} takes the option tuning.{option}")

    def _given_tuning(self) -> dict[str, Any]:
        prefix = "tuning."
        return {name.removeprefix(prefix): value for name, value in self.given().items() if name.startswith(prefix)}


def takes(method: str, option: str) -> bool:
    """Say whether a fine-tuning method has an option."""
    return option in inspect.signature(resolve(METHODS[method])).parameters


def claim_folder(folder: Path, mark: str, what: str) -> None:
    """Make a folder for several runs, or go on in one that holds ``mark``; raises RunError for any other."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; choose another --out")
    there = [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.exists() else []
    if there and not (folder / mark).exists():
        raise RunError(f"{folder} exists and is no {what}; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)


def _taken(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if takes(method, name)}
