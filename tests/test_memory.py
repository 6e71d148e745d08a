"""Memory that was freed is used again without a page being asked for."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import torch
from labtune.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.zeros(2**22) for _ in range(8)]  # 128 MB in all
    del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
first = faults()
told = keep_freed_memory()
for _ in range(9):  # until the remainders of aligned blocks are used up
    faults()
print(first, faults(), told)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only GNU's allocator can be told")
def test_freed_blocks_cost_no_page_fault() -> None:
    fresh = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}  # as a process starts
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=os.environ | fresh, capture_output=True, text=True, check=True)
    before, after, told = done.stdout.split()
    assert told == "True"
    assert int(before) > 30_000, "pages of 4 KB"
    assert int(after) < 1000
