"""What a training of ESM-2-shaped encoders needs, for every method and bit width, as ``labtune plan`` finds it.

No weights are made: the largest training pass runs on tensors without numbers. It is tried with two blocks and with
three; every further block takes what the third one did, which is exact where ``--check`` tried the whole depth. Records
are random sequences of one length, so that anyone can repeat it.

    python benchmarks/esm_memory.py esm2_650m esm2_3b
    python benchmarks/esm_memory.py esm2_8m --check
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import common
from transformers import EsmConfig

from labtune.catalog import Catalog, load_catalog
from labtune.encoder.loading import encoder_folder
from labtune.errors import SettingsError
from labtune.planning import plan
from labtune.settings import METHODS, resolve_settings

SHAPES = {  # ESM-2's: blocks, width, attention heads
    "esm2_8m": (6, 320, 20),
    "esm2_650m": (33, 1280, 20),
    "esm2_3b": (36, 2560, 40),
}
BITS = (32, 16, 8, 4)
TRIED = (2, 3)  # blocks
RECORDS, LENGTH = 32, 510  # with the two special tokens, 8 records of 512 tokens a pass
COMPLETE = {"batch_tokens": 4096, "batch_size": 32}


def main() -> None:
    """Plan what is missing, print a line each, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="+", choices=SHAPES)
    parser.add_argument("--check", action="store_true", help="plan the whole depth too, and compare")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    arguments = parser.parse_args()
    catalog = load_catalog()
    with tempfile.TemporaryDirectory() as folder:
        data = write_records(Path(folder) / "records.csv")
        for shape in arguments.shapes:
            depths = {depth: write_encoder(shape, depth, Path(folder), catalog) for depth in (*TRIED, SHAPES[shape][0])}
            for method, bits in cells(arguments.methods, shape):
                found = deepened([planned(depths[depth], method, bits, data, catalog) for depth in TRIED], shape)
                if arguments.check:
                    whole = planned(depths[SHAPES[shape][0]], method, bits, data, catalog)
                    found["whole_depth_agrees"] = whole == found
                record(shape, method, bits, found)


def cells(methods: list[str], shape: str) -> Iterator[tuple[str, int]]:
    """Name what was not planned before."""
    done = {(run["shape"], run["method"], run["bits"]) for run in planned_before()}
    return ((method, bits) for method in methods for bits in BITS if (shape, method, bits) not in done)


def write_records(path: Path, count: int = RECORDS, length: int = LENGTH) -> Path:
    """Write random sequences with a random state for each residue."""
    draw = random.Random(0)
    columns = ("ACDEFGHIKLMNPQRSTVWY", "HEC")
    rows = [",".join("".join(draw.choices(letters, k=length)) for letters in columns) for _ in range(count)]
    path.write_text("sequence,target\n" + "\n".join(rows) + "\n")
    return path


def write_encoder(shape: str, blocks: int, beside: Path, catalog: Catalog) -> Path:
    """Write a configuration of this shape and so many blocks, and the vocabulary of ESM-2."""
    folder = beside / f"{shape}-{blocks}"
    shutil.copytree(encoder_folder("protein.mini", catalog), folder, ignore=shutil.ignore_patterns("*.safetensors"))
    _, width, heads = SHAPES[shape]
    described = json.loads((folder / "config.json").read_text())
    described |= {"num_hidden_layers": blocks, "hidden_size": width, "num_attention_heads": heads}
    described |= {"intermediate_size": 4 * width, "token_dropout": True}
    EsmConfig(**described).save_pretrained(folder)
    return folder


def planned(encoder: Path, method: str, bits: int, data: Path, catalog: Catalog) -> dict[str, Any]:
    """Plan one training; where method and bits do not go together, say why."""
    flags = {"encoder": str(encoder), "method": method, "bits": bits, "data": {"train": str(data), "valid": str(data)}}
    try:
        settings = resolve_settings(catalog, "protein.secondary_structure", {**flags, **COMPLETE})
    except SettingsError as error:
        return {"refused": str(error)}
    found = plan(settings, catalog=catalog, timed=False, memory=10**15)
    parts = asdict(found.footprint)
    del parts["holes"]  # of a CPU's allocator; encoders of these sizes learn on accelerators
    trained = {"parameters": found.parameters, "trainable_parameters": found.trainable}
    return trained | {"bytes": {**parts, "total": sum(parts.values())}}


def deepened(tried: list[dict[str, Any]], shape: str) -> dict[str, Any]:
    """Carry two depths on to that of the shape, number by number."""
    few, more = tried
    if "refused" in few:
        return few
    further = SHAPES[shape][0] - TRIED[1]

    def carried(one: Any, next_: Any) -> Any:
        if isinstance(one, dict):
            return {name: carried(one[name], next_[name]) for name in one}
        return next_ + further * (next_ - one)

    return dict(carried(few, more))


def planned_before() -> list[dict[str, Any]]:
    """Return what is written."""
    path = common.RESULTS / "esm_memory.json"
    found: list[dict[str, Any]] = json.loads(path.read_text())["runs"] if path.exists() else []
    return found


def record(shape: str, method: str, bits: int, found: dict[str, Any]) -> None:
    """Add a line to the table."""
    run = {"shape": shape, "method": method, "bits": bits, **found}
    print(run, flush=True)
    content = {"command": "python benchmarks/esm_memory.py esm2_650m esm2_3b", "records": RECORDS, "tokens": LENGTH + 2}
    common.write("esm_memory", content | COMPLETE | {"shapes": SHAPES, "runs": [*planned_before(), run]})


if __name__ == "__main__":
    main()
