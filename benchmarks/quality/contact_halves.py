"""Contacts of many chains: the recipe of the pre-trained head is repeated on each half of them, and the other tests it.

    python benchmarks/quality/contact_halves.py
    python benchmarks/quality/contact_halves.py --halves 0 --seeds 0

The weights that ``protein.contact`` starts from know the contacts of the protein benchmark's training chains, so only
its 300 test chains can judge them. Here training and test chains together are halved, by sequence identity (0.3). On
each half the recipe is repeated: a network on ``protein.mini`` learns its contacts and predicts natural sequences, and
a head learns from letters what their families agree on. Runs on that half start from this head, or from chance
throughout, with the settings of the protein benchmark; the other half tests them. Its validation chains choose epochs.

Needs ``mmseqs``. What ``--work`` has already is kept, and a training that was cut off goes on; results are written once
both halves and all seeds are there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins" / "protein" / "recipe"))

import common
import pair_families
import rounds
from protein import ENDS, fresh_weights, lean
from protein_data import ATTENTION, CASES
from safetensors.torch import load_file
from ship_pairs import pair_head

from labtune.catalog import Catalog, load_catalog, resolve
from labtune.data.splitting import split_records
from labtune.evaluation.paired import compare
from labtune.evaluation.rereading import Judged, read_judged
from labtune.evaluation.scoring import score
from labtune.pipeline import run_settings
from labtune.protocols import Metric
from labtune.settings import resolve_settings
from labtune.specs import Prediction, Record
from labtune_protein.contacts import read_contacts
from labtune_protein.fasta import read_fasta
from labtune_protein.identity import similarity
from labtune_protein.pairs import head

CASE = CASES["contacts"]
HALVES = (0, 1)
WORD = 20  # residues
PRE_TRAINED, FRESH = STARTS = "pre-trained", "fresh"


def main() -> None:
    """Make what is missing, and write the results once all is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--halves", type=int, nargs="+", choices=HALVES, default=HALVES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work", type=Path, default=common.ROOT / "runs" / "contact_halves", help="chains and runs")
    arguments = parser.parse_args()
    work, seeds, catalog = arguments.work, arguments.seeds, lean(load_catalog(), CASE)
    valid = CASE.prepared(work / "chains")["data"]["valid"]
    if not all(_half(work, half).exists() for half in HALVES):
        write_halves(work)
    for half in arguments.halves:
        data = {"train": str(_half(work, half)), "valid": valid, "test": str(_half(work, 1 - half))}
        weights = teach(work / f"recipe{half}", data)
        for seed in seeds:
            for start in STARTS:
                learn(start, data, seed, weights, _run(work, start, half, seed), catalog)
    runs = [_run(work, start, half, seed) for start in STARTS for half in HALVES for seed in seeds]
    if all((run / "metrics.json").exists() for run in runs):
        print("written:", common.write("contact_halves", results(work, seeds, catalog)))


def write_halves(work: Path) -> None:
    """Halve the chains; those that are alike stay together."""
    files = [work / "chains" / f"{part}.jsonl" for part in ("train", "test")]
    records = [record for file in files for record in read_contacts(file, labelled=True)]
    lines = [line for file in files for line in file.read_text().splitlines(keepends=True)]
    line_of = {record.id: line for record, line in zip(records, lines, strict=True)}
    parts = split_records(records, "identity:0.3", (0.5, 0, 0.5), 0, similarity)
    for half, part in zip(HALVES, ("train", "test"), strict=True):
        _half(work, half).write_text("".join(line_of[record.id] for record in parts[part]))


def teach(out: Path, data: Mapping[str, str]) -> Path:
    """Repeat the recipe's first round, and store the head as the package has it."""
    subprocess.run([sys.executable, pair_families.__file__, out, data["train"], data["valid"], "1"], check=True)
    weights = out / "pair_head.safetensors"
    rounds.store(weights, pair_head(load_file(out / "run" / "model" / "head.safetensors")))
    return weights


def learn(start: str, data: Mapping[str, str], seed: int, weights: Path, out: Path, catalog: Catalog) -> None:
    """Train on a half and test on the other, unless that is done."""
    if (out / "metrics.json").exists():
        return
    fresh = start == FRESH
    encoder = fresh_weights(seed, out.parent, catalog) if fresh else "protein.mini"
    flags = {"data": data, "encoder": encoder, "seed": seed, "audit": "off", "coverage": 0.0}
    settings = resolve_settings(catalog, CASE.task, flags, CASE.fresh if fresh else ())
    with patch.object(head, "FAMILIES", weights):
        metrics = run_settings(settings, out=out, resume=out.exists(), catalog=catalog).metrics
    print(out.name, metrics["valid"][CASE.score], metrics["test"][CASE.score], flush=True)


def results(work: Path, seeds: Sequence[int], catalog: Catalog) -> dict[str, Any]:
    """Score the chains of both halves together, each as predicted by what had learned the other half."""
    runs, gains = [], []
    for seed in seeds:
        judged = {start: _judged(work, start, seed, catalog) for start in STARTS}
        both = judged[FRESH]
        records = [record for one in both for record in one.records]
        predicted = {start: [found for one in some for found in one.predictions] for start, some in judged.items()}
        metrics = [catalog.build("metrics", name, both[0].labels) for name in catalog.task(CASE.task).metrics]
        for start, some in judged.items():
            seconds = statistics.fmean(one.metrics["train"]["seconds"] for one in some)
            found = score(metrics, predicted[start], records)[CASE.score]
            runs.append({"start": start, "seed": seed, "score": found, "seconds": seconds})
        compared = {"score": records, "strangers": strangers(records)}
        gains.append({"seed": seed} | {key: gain(predicted, some, metrics[0]) for key, some in compared.items()})
    return {
        "command": "python benchmarks/quality/contact_halves.py",
        "score": CASE.score,
        "chains": [len(one.records) for one in both],
        "strangers": len(strangers(records)),
        "heads": [_valid(work / f"recipe{half}" / "run") for half in HALVES],
        "runs": runs,
        "gains": gains,
        "baselines": {target: baseline(target, both, metrics) for target in CASE.baselines if target != ATTENTION},
    }


def strangers(records: Sequence[Record]) -> list[Record]:
    """Chains that share no 20 residues in a row with chains of FLIP, whose states ``protein.mini`` learned."""
    files = common.data("bio/flip_secondary_structure").glob("*.sequences.fasta")
    known = {words for file in files for entry in read_fasta(file) for words in _words(entry.text)}
    return [record for record in records if not known & _words(record.input)]


def gain(predicted: Mapping[str, Sequence[Prediction]], some: Sequence[Record], metric: Metric) -> dict[str, float]:
    """What ``protein.mini`` is ahead by on some of the records."""
    ids = {record.id for record in some}
    chosen = {start: [one for one in found if one.id in ids] for start, found in predicted.items()}
    difference = asdict(compare(metric, chosen[FRESH], chosen[PRE_TRAINED], some)[CASE.score])
    return {end: difference[key] for end, key in ENDS.items()}


def baseline(target: str, both: Sequence[Judged], metrics: Sequence[Metric]) -> dict[str, float | None]:
    """Score a model without an encoder, fitted to one half for the other."""
    records, predictions = [], []
    for tested, taught in (both, both[::-1]):
        records += tested.records
        predictions += resolve(target)(taught.records, taught.labels)(tested.records)
    return score(metrics, predictions, records)[CASE.score]


def _judged(work: Path, start: str, seed: int, catalog: Catalog) -> list[Judged]:
    return [read_judged(_run(work, start, half, seed), catalog) for half in HALVES]


def _valid(run: Path) -> float:
    value: float = json.loads((run / "metrics.json").read_text())["valid"][CASE.score]["value"]
    return value


def _words(sequence: str) -> set[str]:
    return {sequence[start : start + WORD] for start in range(len(sequence) - WORD + 1)}


def _half(work: Path, half: int) -> Path:
    return work / f"half{half}.jsonl"


def _run(work: Path, start: str, half: int, seed: int) -> Path:
    return work / f"{start}-{half}-{seed}"


if __name__ == "__main__":
    main()
