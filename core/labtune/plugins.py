"""Find the installed plugins and ask each what it offers: the only room that knows pluggy and entry points.

A plugin that cannot be used is skipped, remembered and told; nothing else stops working. ``LABTUNE_STRICT=1`` raises
instead. Names in ``LABTUNE_DISABLE_PLUGINS`` (separated by commas) are not even imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import labtune
from labtune import hookspecs
from labtune.errors import PluginError, nearest
from labtune.specs import Component, Task

GROUP = "labtune.plugins"
CORE = "labtune"
PREFIX = "labtune_"
KINDS: Mapping[str, type[Component] | type[Task]] = {
    "tokenizers": Component,
    "encoders": Component,
    "heads": Component,
    "losses": Component,
    "metrics": Component,
    "tasks": Task,
}

Offers = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One plugin as found: what it offers, or why it cannot be used.

    Parameters
    ----------
    name
        The entry point's name, which is the prefix of everything that the plugin offers.
    distribution, version
        Where it comes from; empty for a module that was passed in.
    module
        What the entry point refers to.
    offers
        By kind (a key of :data:`KINDS`), the components or tasks. Empty when it failed.
    error
        Why it cannot be used, on one line.
    """

    name: str
    distribution: str = ""
    version: str = ""
    module: str = ""
    offers: Offers = field(default_factory=dict)
    error: str = ""

    @property
    def origin(self) -> str:
        """Distribution and version, for messages."""
        return f"{self.distribution} {self.version}" if self.distribution else f"module {self.module}"

    @property
    def told(self) -> str:
        """What is wrong with which version of which distribution."""
        return f"plugin {self.name!r} ({self.origin}) did not load: {self.error}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Every plugin that was found, the core's own first, then by name."""

    plugins: tuple[Plugin, ...]

    @property
    def failed(self) -> tuple[Plugin, ...]:
        """Those that cannot be used."""
        return tuple(plugin for plugin in self.plugins if plugin.error)


def load_plugins(extra: Mapping[str, object] | None = None) -> Loaded:
    """Load what is installed, and what is passed in, through one door.

    Parameters
    ----------
    extra
        Further plugins by name, as modules that need not be packaged: for tests and notebooks.

    Returns
    -------
    Loaded
        One entry a plugin. Of two plugins with one name, or two offers of one name, the first stays.

    Raises
    ------
    PluginError
        From whatever a plugin raised, if ``LABTUNE_STRICT=1``; never otherwise.
    """
    found = [(_described(point), partial(_import, point)) for point in _entry_points()]
    found += [(_unpackaged(name, module), partial(_same, module)) for name, module in (extra or {}).items()]
    plugins: list[Plugin] = []
    for plugin, load in found:
        plugins.append(_load(plugin, load, plugins))
    return Loaded(tuple(plugins))


def _entry_points() -> list[EntryPoint]:
    """Entry points in an order that no file system decides; nobody comes before the core."""
    return sorted(entry_points(group=GROUP), key=lambda point: (_owner(point) != CORE, point.name, _owner(point)))


def _owner(point: EntryPoint) -> str:
    return str(canonicalize_name(_metadata(point, "Name")))


def _metadata(point: EntryPoint, key: str) -> str:
    """Return a field of the distribution, or nothing where an installation lost its metadata."""
    return point.dist.metadata[key] if point.dist and key in point.dist.metadata else ""


def _described(point: EntryPoint) -> Plugin:
    version = _metadata(point, "Version")
    return Plugin(name=point.name, distribution=_owner(point), version=version, module=point.value)


def _unpackaged(name: str, module: object) -> Plugin:
    return Plugin(name=name, module=str(getattr(module, "__name__", type(module).__name__)))


def _import(point: EntryPoint) -> object:
    """Import a plugin, unless it was made for another version of the core, of which pip only warns."""
    for line in (point.dist.requires if point.dist else None) or ():
        wanted = Requirement(line)
        applies = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        fits = wanted.specifier.contains(labtune.__version__, prereleases=True)
        if canonicalize_name(wanted.name) == CORE and applies and not fits:
            raise PluginError(f"needs labtune{wanted.specifier}, and this is labtune {labtune.__version__}")
    return point.load()


def _same(module: object) -> object:
    return module


def _load(plugin: Plugin, load: Callable[[], object], before: Sequence[Plugin]) -> Plugin:
    """Fill in the offers of one plugin, or the error that keeps it out."""
    switched_off = os.environ.get("LABTUNE_DISABLE_PLUGINS", "").split(",")
    if plugin.name in map(str.strip, switched_off):
        return replace(plugin, error="switched off by LABTUNE_DISABLE_PLUGINS")
    try:
        _refuse_second(plugin, before)
        offers = _ask(plugin, load())
        _refuse_taken(offers, before)
    except (Exception, SystemExit) as error:  # a plugin may fail in any way
        kind = "" if isinstance(error, PluginError) else f"{type(error).__name__}: "
        failed = replace(plugin, error=kind + " ".join(str(error).split()))
        if os.environ.get("LABTUNE_STRICT") == "1":
            raise PluginError(failed.told) from error
        return failed
    return replace(plugin, offers=offers)


def _refuse_second(plugin: Plugin, before: Sequence[Plugin]) -> None:
    for other in before:
        if other.name == plugin.name:
            raise PluginError(f"the plugin name {plugin.name!r} is taken by {other.origin}; uninstall one of the two")


def _refuse_taken(offers: Offers, before: Sequence[Plugin]) -> None:
    for kind, offered in offers.items():
        for other in before:
            taken = {offer.name for offer in other.offers.get(kind, ())}
            for name in (offer.name for offer in offered if offer.name in taken):
                raise PluginError(f"{name!r} in {kind} is already offered by {other.origin}; uninstall one of the two")


def _ask(plugin: Plugin, module: object) -> Offers:
    """Call each hook of one plugin. It gets a manager of its own, so there is nothing to undo when it fails."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(module, f"{plugin.distribution}:{plugin.name}")
    callers = {caller.name: caller for caller in manager.get_hookcallers(module) or ()}
    known = [f"{PREFIX}{kind}" for kind in KINDS]
    for name in callers.keys() - known:
        raise PluginError(f"there is no hook {name!r}. {nearest(name, known)}")
    for name in known:
        if name not in callers and hasattr(module, name):
            raise PluginError(f"the function {name!r} is not marked with @labtune.hookimpl")
    offers = {}
    for kind in KINDS:
        if f"{PREFIX}{kind}" in callers:
            [implementation] = callers[f"{PREFIX}{kind}"].get_hookimpls()
            offers[kind] = _checked(plugin, kind, implementation.function())
    return offers


def _checked(plugin: Plugin, kind: str, answer: object) -> tuple[Any, ...]:
    """Refuse what is no list of the right records, and names that the plugin may not give."""
    if not isinstance(answer, list | tuple):
        raise PluginError(f"{PREFIX}{kind} must return a list or tuple, not a {type(answer).__name__}")
    wanted = KINDS[kind]
    seen = set()
    for offer in answer:
        if not isinstance(offer, wanted):
            raise PluginError(f"{PREFIX}{kind} must return {wanted.__name__} records, not a {type(offer).__name__}")
        if offer.name in seen:
            raise PluginError(f"{offer.name!r} in {kind} is offered twice")
        if plugin.distribution != CORE and not offer.name.startswith(f"{plugin.name}."):
            raise PluginError(f"{offer.name!r} in {kind}: its name must start with '{plugin.name}.'")
        seen.add(offer.name)
    return tuple(answer)
