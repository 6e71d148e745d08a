"""What the machine offers: precision of the arithmetic, and how much memory was used."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch


def precision_of(choice: str) -> str:
    """Name accelerate's mixed precision for a choice of ``auto``, ``float32`` or ``bfloat16``.

    ``auto`` is bfloat16 where the hardware multiplies such matrices itself; weights and optimiser stay in float32.
    """
    if choice == "auto":
        return "bf16" if _multiplies_bfloat16() else "no"
    return "bf16" if choice == "bfloat16" else "no"


def peak_memory_mb() -> float:
    """Most memory that this process has used, in MiB: the accelerator's, else the machine's."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # Linux's getrusage would count the parent's memory, from before this program started
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _multiplies_bfloat16() -> bool:
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
