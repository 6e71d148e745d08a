"""Packages that only some methods need: a clear line when one is missing, and no code from the hub when one is there."""

from __future__ import annotations

import logging
import sys
from typing import Any
from unittest.mock import patch

from labtune.errors import SettingsError

BITSANDBYTES = "bitsandbytes"


def require(package: str, extra: str, purpose: str) -> Any:
    """Import an optional package.

    bitsandbytes, which peft imports too, would download compiled code from the hub where the package ``kernels`` is
    installed. labtune runs no code that did not come with an installation, so ``kernels`` is out of sight meanwhile.

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
    logging.getLogger(f"{BITSANDBYTES}.backends.cpu.ops").setLevel(logging.ERROR)  # it warns that `kernels` is absent
    hidden = {} if BITSANDBYTES in sys.modules else {"kernels": None}
    try:
        with patch.dict(sys.modules, hidden):
            _load_submodules(package)
    except ImportError as error:
        raise SettingsError(
            f"{purpose} needs {package}, which is not installed: pip install 'labtune[{extra}]'"
        ) from error
    return sys.modules[package]
