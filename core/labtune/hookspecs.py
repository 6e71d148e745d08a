"""What a plugin can offer: six hooks, each without arguments, each returning a list or tuple.

A plugin module defines any of these functions under ``@labtune.hookimpl`` and imports nothing heavy. Generators are
refused, because their errors would surface outside the guarded call.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from labtune.specs import Component, Task

PROJECT = "labtune"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def labtune_tokenizers() -> Sequence[Component]:
    """Offer tokenizers: ``build(vocabulary, labels, **options)`` returns a ``Tokenizer``."""
    raise NotImplementedError


@hookspec
def labtune_encoders() -> Sequence[Component]:
    """Offer encoders: ``build(**options)`` returns a model folder, a hub id, or an ``Encoder``."""
    raise NotImplementedError


@hookspec
def labtune_heads() -> Sequence[Component]:
    """Offer heads: ``build(width, labels, **options)`` returns a ``Head``."""
    raise NotImplementedError


@hookspec
def labtune_losses() -> Sequence[Component]:
    """Offer losses: ``build(labels, **options)`` returns a ``Loss``."""
    raise NotImplementedError


@hookspec
def labtune_metrics() -> Sequence[Component]:
    """Offer metrics: ``build(labels, **options)`` returns a ``Metric``."""
    raise NotImplementedError


@hookspec
def labtune_tasks() -> Sequence[Task]:
    """Offer tasks: which parts, which labels, which presets, and a few example records."""
    raise NotImplementedError
