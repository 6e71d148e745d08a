"""What the benchmark scripts share: where the data are, what the machine is, how results are written."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from labtune.provenance import provenance

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"


def data(name: str) -> Path:
    """Return a file or folder of the public data sets; see CONTRIBUTING.md for where they are looked for."""
    path = Path(os.environ.get("LABTUNE_DATA", ROOT.parent / "shared" / "data")) / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: set LABTUNE_DATA to the folder that has {name}")
    return path


def conll2003(folder: Path, part: str, every: int = 1) -> Path:
    """Return a part of CoNLL-2003, or write every k-th of its documents into a folder and return that."""
    file = data(f"text/conll2003_en/{part}.txt")
    if every == 1:
        return file
    mark = "-DOCSTART-"
    documents = file.read_text(encoding="utf-8").split(mark)[1:]
    folder.mkdir(parents=True, exist_ok=True)
    few = folder / f"{part}-{every}.txt"
    few.write_text("".join(f"{mark}{document}" for document in documents[::every]), encoding="utf-8")
    return few


def machine() -> dict[str, Any]:
    """Describe the machine that measures."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return {"device": device, "cores": os.cpu_count(), "threads": torch.get_num_threads()}


def device() -> str:
    """Name the device that measures, as torch does."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def finish() -> None:
    """Wait until the device has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def matmul_rate(dtype: torch.dtype, size: int = 2048, repeats: int = 8) -> float:
    """Measure the device's matrix-product rate, in floating-point operations a second (best of several)."""
    left, right = (torch.randn(size, size).to(device(), dtype) for _ in range(2))
    best = float("inf")
    for _ in range(repeats):
        finish()
        began = time.perf_counter()
        left @ right
        finish()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean and the two ends."""
    return {"mean": statistics.fmean(values), "low": min(values), "high": max(values), "n": len(values)}


def write(name: str, content: Mapping[str, Any]) -> Path:
    """Write one result with machine, versions and date."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    facts = {**provenance({}), "hardware": machine(), "date": datetime.now(UTC).date().isoformat()}
    path.write_text(json.dumps({**content, "facts": facts}, indent=2) + "\n")
    return path
