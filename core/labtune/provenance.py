"""With what a run was made: versions, machine, source code."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("labtune", "torch", "transformers", "accelerate", "peft", "bitsandbytes", "numpy", "scikit-learn")


def provenance(plugins: Mapping[str, str]) -> dict[str, Any]:
    """When, on what and with which versions; ``plugins`` maps distributions of plugins to their versions."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # an extra that is not installed
            continue
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {**versions, **plugins},
    }
