"""Are cells of a type that training never had called unknown? Each cell line in turn is left out of plate 1.

The model then names the cells of plate 2, at the coverage that runs have by default.

    python benchmarks/quality/unknown_cells.py --seed 11
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import anndata
import common

import labtune
from labtune.catalog import call_target, load_catalog
from labtune.specs import Record

TASK, COLUMN = "expression.cell_type", "cell_line"
PLATES = ("bio/sc_mixology/sc_celseq2_5cl_p1.h5ad", "bio/sc_mixology/sc_celseq2_5cl_p2.h5ad")


def main() -> None:
    """Leave out each line, and write what share of whose cells is called unknown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=11)
    seed = parser.parse_args().seed
    first = anndata.read_h5ad(common.data(PLATES[0]))
    reader = load_catalog().task(TASK).reader
    path = common.data(PLATES[1])
    cells = list(call_target(reader, path, what="reader option", labelled=True, target=COLUMN))
    rows = [leave_out(first, name, cells, seed) for name in sorted(first.obs[COLUMN].unique())]
    command = f"python benchmarks/quality/unknown_cells.py --seed {seed}"
    print("written:", common.write("unknown_cells", {"command": command, "rows": rows}))


def leave_out(plate: anndata.AnnData, name: str, cells: list[Record], seed: int) -> dict[str, Any]:
    """Train without one line."""
    with tempfile.TemporaryDirectory() as folder:
        train = Path(folder) / "train.h5ad"
        plate[plate.obs[COLUMN] != name].write_h5ad(train)
        out = Path(folder) / "run"
        labtune.run(TASK, train=train, out=out, seed=seed, reader={"target": COLUMN}, audit="off")
        found = labtune.load(out).predict(cells)
    unknown = [bool(prediction.details["abstained"]) for prediction in found]
    new = [flag for flag, cell in zip(unknown, cells, strict=True) if cell.target == name]
    known = [flag for flag, cell in zip(unknown, cells, strict=True) if cell.target != name]
    row = {"left_out": name, "cells": len(new), "unknown": sum(new) / len(new)}
    row |= {"others": len(known), "others_unknown": sum(known) / len(known)}
    print(json.dumps(row), flush=True)
    return row


if __name__ == "__main__":
    main()
