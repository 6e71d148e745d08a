"""Peak memory of ``labtune predict`` on files of growing size, each in a process of its own.

python benchmarks/prediction_memory.py 10000 100000
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import common

from labtune.deploy.predictor import predict_file
from labtune.device import peak_memory_mb
from labtune.pipeline import run

WORDS = (
    "profit",
    "sales",
    "rose",
    "fell",
    "by",
    "the company",
    "said",
    "in the quarter",
    "a net loss",
    "share",
    "deal",
)


def main() -> None:
    """Train a small model, predict each size, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="+", type=int)
    parser.add_argument("--in", dest="folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        print(json.dumps(predicted(Path(arguments.folder), arguments.records[0])))
        return
    with tempfile.TemporaryDirectory() as folder:
        run("finance.sentiment", encoder="tiny", epochs=1, audit="off", out=Path(folder) / "run")
        runs = [child(folder, records) for records in arguments.records]
    sizes = " ".join(map(str, arguments.records))
    command = f"python benchmarks/prediction_memory.py {sizes}"
    print("written:", common.write("prediction_memory", {"command": command, "runs": runs}))


def child(folder: str, records: int) -> Any:
    """Predict in a process of its own."""
    words = [sys.executable, __file__, str(records), "--in", folder]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def predicted(folder: Path, records: int) -> dict[str, float]:
    """Write a file of random phrases, predict it, and say what that took."""
    draw, file = random.Random(0), folder / f"{records}.csv"
    with file.open("w") as stream:
        stream.write("text\n")
        stream.writelines(" ".join(draw.choices(WORDS, k=draw.randint(3, 12))) + "\n" for _ in range(records))
    summary = predict_file(folder / "run", file)
    size = file.stat().st_size / 10**6
    memory = {"file_mb": size, "peak_mb": peak_memory_mb() * 2**20 / 10**6}
    return {"records": records, **memory, "speed": summary["records_per_second"]}


if __name__ == "__main__":
    main()
