"""From names to things: what is installed, and the only importer of ``"module:attribute"`` targets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import Any, get_args, get_type_hints, is_typeddict

from labtune.errors import PluginError, SettingsError, nearest
from labtune.plugins import KINDS, Loaded, load_plugins
from labtune.specs import Component, Task

SINGULAR = {"tokenizers": "tokenizer", "encoders": "encoder", "heads": "head", "losses": "loss", "metrics": "metric"}


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that the installed plugins offer, by name.

    Parameters
    ----------
    tasks
        Tasks by name.
    components
        Components by kind (``tokenizers``, ``encoders``, ``heads``, ``losses``, ``metrics``) and name.
    report
        What was loaded and what was not.
    """

    tasks: Mapping[str, Task]
    components: Mapping[str, Mapping[str, Component]]
    report: Loaded

    def task(self, name: str) -> Task:
        """Return a task whose parts are all there.

        Raises
        ------
        PluginError
            If no plugin offers the task, or one of its parts.
        """
        if name not in self.tasks:
            raise PluginError(self._explained(f"unknown task {name!r}. {nearest(name, self.tasks)}", name))
        task = self.tasks[name]
        for kind, part in self.missing(task):
            lack = f"task {name!r} needs the {SINGULAR[kind]} {part!r}, which no plugin offers."
            raise PluginError(self._explained(f"{lack} {nearest(part, self.components[kind])}", part))
        return task

    def missing(self, task: Task) -> Iterator[tuple[str, str]]:
        """Yield kind and name of each part of the task that no plugin offers."""
        parts = [("tokenizers", task.tokenizer), ("heads", task.head), ("losses", task.loss)]
        parts += [("metrics", metric) for metric in task.metrics]
        return ((kind, name) for kind, name in parts if name not in self.components[kind])

    def component(self, kind: str, name: str) -> Component:
        """Return a component; raises PluginError naming the nearest when no plugin offers it."""
        known = self.components[kind]
        if name not in known:
            raise PluginError(self._explained(f"unknown {SINGULAR[kind]} {name!r}. {nearest(name, known)}", name))
        return known[name]

    def build(self, kind: str, name: str, /, *args: Any, **options: Any) -> Any:
        """Import a component and call it; see :func:`call_target` for what is checked."""
        target = self.component(kind, name).target
        return call_target(target, *args, what=f"option of the {SINGULAR[kind]} {name!r}", **options)

    def _explained(self, message: str, name: str) -> str:
        """Add the plugins that failed and could have offered the name: by its prefix, or else all of them."""
        failed = self.report.failed
        if not failed:
            return message
        suspects = [plugin for plugin in failed if name.startswith(f"{plugin.name}.")] or failed
        return "; ".join([message.rstrip("."), *(plugin.told for plugin in suspects), "see 'labtune plugins'"])


def load_catalog(extra: Mapping[str, object] | None = None) -> Catalog:
    """Ask every plugin what it offers; ``extra`` maps names to further plugin modules, for tests and notebooks."""
    report = load_plugins(extra)
    offers: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    for plugin in report.plugins:
        for kind, offered in plugin.offers.items():
            offers[kind].update({offer.name: offer for offer in offered})
    tasks = offers.pop("tasks")
    return Catalog(tasks=tasks, components=offers, report=report)


def resolve(target: str) -> Any:
    """Import ``"module:attribute"``.

    Raises
    ------
    PluginError
        If the module or one of its imports is missing, or it has no such attribute.
    """
    module, colon, attribute = target.partition(":")
    if not (module and colon and attribute):
        raise PluginError(f"the target {target!r} is not of the form 'module:attribute'")
    try:
        return attrgetter(attribute)(import_module(module))
    except (ImportError, AttributeError) as error:
        raise PluginError(f"the target {target!r} cannot be imported: {error}") from error


def call_target(target: str, /, *args: Any, what: str = "option", **options: Any) -> Any:
    """Import a target and call it, after checking the names of the options against its signature.

    Parameters
    ----------
    target
        ``"module:attribute"`` of a callable.
    args
        Positional arguments, given by the core.
    what
        What an option is called in messages, such as ``"reader option"``.
    options
        Keyword arguments, given by the user.

    Raises
    ------
    PluginError
        If the target cannot be imported.
    SettingsError
        If an option is unknown to the target, or one that it needs is missing.
    """
    function = resolve(target)
    _check_options(function, len(args), what, options)
    return function(*args, **options)


def _check_options(function: Callable[..., Any], given: int, what: str, options: Mapping[str, Any]) -> None:
    parameters = list(inspect.signature(function).parameters.values())
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p not in places[:given]]
    known = [parameter.name for parameter in named]
    open_ended = [parameter for parameter in parameters if parameter.kind is parameter.VAR_KEYWORD]
    handed_on = _handed_on(function, open_ended[0].name) if open_ended else ()
    if handed_on is not None:
        known += handed_on
        for name in options.keys() - known:
            raise SettingsError(f"unknown {what}: {name!r}. {nearest(name, known) if known else 'It has none.'}")
    for parameter in named:
        if parameter.default is parameter.empty and parameter.name not in options:
            raise SettingsError(f"missing {what}: {parameter.name!r} must be given")


def _handed_on(function: Callable[..., Any], name: str) -> Sequence[str] | None:
    """Names behind ``**options: Unpack[SomeTypedDict]``; None when ``**options`` may be anything."""
    try:
        hint = get_type_hints(function).get(name)
    except (NameError, TypeError):  # hints that only a type checker can read
        return None
    (table,) = get_args(hint) or (None,)
    return list(get_type_hints(table)) if is_typeddict(table) else None
