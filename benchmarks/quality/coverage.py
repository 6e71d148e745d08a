"""What promised coverage comes to on real records, and what the temperature does for confidence.

PhraseBank: a run is trained on part of the data. The rest is dealt to calibration and test many times; each time
thresholds and temperature are learned on the one and measured on the other. MiniLM is frozen: this takes minutes.

CoNLL-2003: a run is trained on every fourth training document, calibrated on the published validation data, and
measured on the test data as they are, which are of another time of year; and on test documents dealt many times.

Residues: convolutions on letters, without an encoder, are trained on some chains of FLIP's secondary structure.
Coverage is that of a chain's residues, and chains are what could be exchanged.

    python benchmarks/quality/coverage.py phrasebank --seeds 0 1 2
    python benchmarks/quality/coverage.py conll2003 --seeds 0 --runs FOLDER
    python benchmarks/quality/coverage.py residues --seeds 0
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common
import numpy as np
from coverage_measures import deal, dealt_coverage, span_coverage, unit_coverage
from subsets import write_flip

from labtune.catalog import load_catalog
from labtune.data.splits import Splits, load_splits
from labtune.deploy.predictor import Predictor, load
from labtune.evaluation.reliability import calibration_scores, decisions
from labtune.pipeline import run_settings
from labtune.settings import resolve_settings

PHRASEBANK = "text/financial_phrasebank/Sentences_50Agree.txt"
CONLL_EPOCHS, CONLL_EVERY = 2, 4  # of the training documents: what is promised holds for any model
CONLL_DEALS = 30
FLIP_CHAINS = {"train": 2000, "valid": 900, "test": 1080}  # the latter two are nearly all there are
DEALS = 100


def main() -> None:
    """Measure, print a line a seed, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=MEASURES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, help="folder that keeps the runs, so that a stopped one goes on")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.runs or Path(temporary)
        runs = [MEASURES[arguments.task](seed, folder / f"{arguments.task}-{seed}") for seed in arguments.seeds]
    command = f"benchmarks/quality/coverage.py {arguments.task} --seeds {' '.join(map(str, arguments.seeds))}"
    content = {"task": arguments.task, "command": command, "deals": DEALS, "runs": runs}
    print("written:", common.write(f"coverage-{arguments.task}", content))


def trained(task: str, flags: dict[str, Any], folder: Path) -> tuple[Predictor, Splits]:
    """Train, or go on, or take what was trained before."""
    catalog = load_catalog()
    settings = resolve_settings(catalog, task, flags)
    run_settings(settings, folder, resume=folder.exists(), catalog=catalog)
    return load(folder, catalog=catalog), load_splits(catalog.task(task), settings)


def phrasebank(seed: int, folder: Path) -> dict[str, Any]:
    """Train once, then deal the held-out records many times."""
    flags = {"seed": seed, "data": {"train": str(common.data(PHRASEBANK))}, "method": "head", "epochs": 10}
    flags |= {"batch_size": 64, "fractions": (0.4, 0.3, 0.3), "audit": "off"}
    predictor, splits = trained("finance.sentiment", flags, folder)
    records = splits.records["valid"] + splits.records["test"]
    temperature = predictor.confidence.calibration.temperature.value
    logits = temperature * np.log([prediction.probabilities for prediction in predictor.predict(records)])  # (R, L)
    generator = np.random.default_rng(seed)
    dealt = [deal(logits, records, splits.labels, generator.permutation(len(records))) for _ in range(DEALS)]
    found = {key: common.spread([one[key] for one in dealt]) for key in dealt[0]}
    found |= {"seed": seed, "held_out": len(records), "split": splits.fingerprint}
    print({key: round(value["mean"], 4) if isinstance(value, dict) else value for key, value in found.items()})
    return found


def conll2003(seed: int, folder: Path) -> dict[str, Any]:
    """Train once; calibrate on validation documents for the test documents, and on halves of the latter."""
    files = {part: str(common.conll2003(folder.parent, part)) for part in ("valid", "test")}
    files["train"] = str(common.conll2003(folder.parent, "train", CONLL_EVERY))
    flags = {"seed": seed, "data": files, "epochs": CONLL_EPOCHS, "audit": "off"}
    predictor, splits = trained("ner.conll2003", flags, folder)
    predictor = predictor.at(0)  # marks are made below
    valid, test = ((splits.records[part], predictor.predict(splits.records[part])) for part in ("valid", "test"))
    documents = sorted({record.group for record in test[0]})
    generator = np.random.default_rng(seed)
    dealt = []
    for _ in range(CONLL_DEALS):
        half = set(generator.permutation(documents)[: len(documents) // 2])
        sides = [
            [row for row, record in enumerate(test[0]) if (record.group in half) == side] for side in (True, False)
        ]
        known, asked = (([test[0][row] for row in rows], [test[1][row] for row in rows]) for rows in sides)
        dealt.append(span_coverage(known, asked, splits.labels))
    decided = calibration_scores(decisions(test[1], test[0], splits.labels))
    found = {
        "as_published": span_coverage(valid, test, splits.labels),
        "test_halves": {key: common.spread([one[key] for one in dealt]) for key in dealt[0]},
        "calibration": {**decided, "temperature": predictor.confidence.calibration.temperature.value},
    }
    found |= {"seed": seed, "documents": {"valid": len({r.group for r in valid[0]}), "test": len(documents)}}
    print(found)
    return found


def residues(seed: int, folder: Path) -> dict[str, Any]:
    """Train once on some chains; calibrate on others for FLIP's validation chains, and on halves of the latter."""
    files = write_flip(folder.parent / "flip", FLIP_CHAINS)
    flags = {"seed": seed, "data": files, "encoder": "protein.letters", "audit": "off", "coverage": 0.0}
    predictor, splits = trained("protein.secondary_structure", flags, folder)
    valid, test = ((splits.records[part], predictor.predict(splits.records[part])) for part in ("valid", "test"))
    dealt = dealt_coverage(test, splits.labels, np.random.default_rng(seed), DEALS)
    found = {
        "as_published": unit_coverage(valid, test, splits.labels),
        "test_halves": {key: common.spread([one[key] for one in dealt]) for key in dealt[0]},
        "calibration": calibration_scores(decisions(test[1], test[0], splits.labels)),
    }
    found |= {"seed": seed, "chains": {part: len(splits.records[part]) for part in FLIP_CHAINS}}
    print(found)
    return found


MEASURES = {"phrasebank": phrasebank, "conll2003": conll2003, "residues": residues}

if __name__ == "__main__":
    main()
