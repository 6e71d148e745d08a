"""Packages that only some methods need: a clear line when one is missing, no code from the hub when it is there."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from labtune.errors import SettingsError

NOISY = "bitsandbytes.backends.cpu.ops"  # warns that `kernels` is absent


def require(package: str, extra: str, purpose: str) -> Any:
    """Import an optional package.

    Parameters
    ----------
    package, extra
        The package, and labtune's extra that installs it.
    purpose
        Who asks, such as ``"method 'lora'"``.

    Raises
    ------
    SettingsError
        If it is not installed.
    """
    logging.getLogger(NOISY).setLevel(logging.ERROR)
    try:
        with _no_kernels():
            return import_module(package)
    except ImportError as error:
        raise SettingsError(
            f"{purpose} needs {package}, which is not installed: pip install 'labtune[{extra}]'"
        ) from error


@contextmanager
def _no_kernels() -> Iterator[None]:
    """Hide the package ``kernels``: with it bitsandbytes, which peft imports, would download code from the hub.

    labtune runs no code that did not come with an installation.
    """
    absent = "kernels" not in sys.modules
    if absent:
        sys.modules["kernels"] = None  # type: ignore[assignment]  # what the import system reads as "not installed"
    try:
        yield
    finally:
        if absent:
            del sys.modules["kernels"]
