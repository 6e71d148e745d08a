"""What the machine offers: precision of the arithmetic, and how much memory there is and was used."""

from __future__ import annotations

import ctypes
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
    """Most memory that this process has used since :func:`forget_peak_memory`, in MiB: accelerator's or machine's."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # Linux's getrusage would count the parent's memory, from before this program started
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def forget_peak_memory() -> None:
    """Measure the peak anew from here on, where the system can."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: sets the peak to what is used now
    except OSError:
        return


def give_back_memory() -> None:
    """Hand memory that was freed back to the system.

    GNU's allocator keeps freed blocks below 32 MB, and between small ones that stay they are of no use to anyone.
    """
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):  # another system, or another allocator
        return


def _multiplies_bfloat16() -> bool:
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
