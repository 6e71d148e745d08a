"""Annotate a large file of cells without holding it in memory: peak memory and time of ``labtune predict``.

The file is simulated: cells of four types, each with 1,000 draws of genes, of which a part comes from the type's own.

    python benchmarks/speed/cells.py --cells 100000
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import anndata
import common
import h5py
import numpy as np
import pandas as pd
from anndata.io import sparse_dataset, write_elem
from scipy.sparse import csr_matrix

GENES, DRAWS, TYPES, OWN = 20_000, 1_000, 4, 100
BLOCK = 2_000
MIB = 1 << 20


def main() -> None:
    """Simulate, train on a few cells, annotate many, and write what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="folder whose files are used again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = measure(arguments.keep or Path(name), arguments.cells)
    print(found)
    command = f"python benchmarks/speed/cells.py --cells {arguments.cells}"
    print("written:", common.write("cells_memory", {"command": command, **found}))


def measure(folder: Path, cells: int) -> dict[str, Any]:
    """Train on a thousand cells, annotate many."""
    train, many, run, out = (folder / name for name in ("train.h5ad", "many.h5ad", "run", "out.h5ad"))
    for seed, (path, count) in enumerate([(train, 1_000), (many, cells)]):
        if not path.exists():
            simulate(path, count, seed=seed)
    if not run.exists():
        labtune("run", "expression.cell_type", "--train", train, "--out", run, "--epochs", "5")
    began = time.perf_counter()
    peak = labtune("predict", run, many, "-o", out)
    seconds = time.perf_counter() - began
    return {
        "cells": cells,
        "genes": GENES,
        "file_mb": many.stat().st_size / MIB,
        "matrix_in_memory_mb": stored_values(many) * 8 / MIB,
        "peak_memory_mb": peak,
        "seconds": seconds,
        "cells_per_second": cells / seconds,
        "right": right(out),
    }


def simulate(path: Path, cells: int, seed: int) -> None:
    """Write a file block by block."""
    rng = np.random.default_rng(seed)
    types = rng.integers(TYPES, size=cells)
    names = [f"type_{number}" for number in types]
    with h5py.File(path, "w") as file:
        obs = pd.DataFrame({"cell_type": pd.Categorical(names)}, index=[f"cell_{number}" for number in range(cells)])
        whole = anndata.AnnData(
            csr_matrix((0, GENES), dtype=np.float32),
            var=pd.DataFrame(index=[f"gene_{number}" for number in range(GENES)]),
        )
        write_elem(file, "/", whole)
        matrix = sparse_dataset(file["X"])
        for start in range(0, cells, BLOCK):
            matrix.append(draw(types[start : start + BLOCK], rng))
        bounds = file["X/indptr"][:]  # appending leaves a chunk a cell, which no file in practice has
        del file["X/indptr"], file["obs"]
        file["X/indptr"] = bounds
        write_elem(file, "obs", obs)


def draw(types: np.ndarray, rng: np.random.Generator) -> csr_matrix:
    """Counts of some cells: most genes come from all, a twentieth of the draws from the type's own."""
    columns = rng.integers(GENES, size=(len(types), DRAWS))
    own = DRAWS // 20
    columns[:, :own] = types[:, None] * OWN + rng.integers(OWN, size=(len(types), own))
    rows = np.repeat(np.arange(len(types)), DRAWS)
    ones = np.ones(rows.size, dtype=np.float32)
    return csr_matrix((ones, (rows, columns.ravel())), shape=(len(types), GENES))


def labtune(*words: object) -> float:
    """Run a command in a process of its own; return its peak memory in MiB."""
    process = subprocess.Popen([sys.executable, "-m", "labtune.cli", *map(str, words)])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"labtune {words[0]} failed")
    return usage.ru_maxrss / 1024


def stored_values(path: Path) -> int:
    """Values other than zero."""
    with h5py.File(path) as file:
        return len(file["X/data"])


def right(path: Path) -> float:
    """Share of the cells whose likeliest class is theirs."""
    obs = anndata.read_h5ad(path, backed="r").obs
    return float((obs["cell_type"].astype(str) == obs["labtune_best_guess"].astype(str)).mean())


if __name__ == "__main__":
    main()
