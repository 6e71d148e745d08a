"""Protein tasks with ``protein.mini``, beside the same network with fresh weights, no network, and linear models.

    python benchmarks/quality/protein.py
    python benchmarks/quality/protein.py gb1 contacts --starts pre-trained --seeds 0
    python benchmarks/quality/protein.py gb1 --tune epochs=20 head.dropout=0.3

Every run is written to ``results/protein.json`` when it ends, and one that is there already, with the same settings and
the same weights, is not repeated; one that was cut off goes on from its checkpoint in ``--work``. So the whole can be
measured in pieces. ``--tune`` scores validation data only and writes nothing. ``fresh`` starts from chance throughout:
the encoder, and heads that are pre-trained otherwise.

Test parts: secondary structure has FLIP's validation split as test (its own test set is not among the data), and every
tenth training chain chooses checkpoints. GB1 is FLIP's two-vs-rest. avGFP has 5,000 training variants. Meltome and
contacts are split by sequence identity (0.3). DeepLoc trains on the file of the 2,768 test proteins, because the
training file is not among the data, and is tested on the validation file, without proteins that are in two places.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common
from protein_data import ATTENTION, CASES, Case

from labtune.catalog import Catalog, load_catalog, resolve
from labtune.data.batching import stable_seed
from labtune.data.splits import load_splits
from labtune.encoder.fresh import fresh_encoder
from labtune.encoder.loading import encoder_folder
from labtune.evaluation.diff import diff_runs
from labtune.evaluation.scoring import score
from labtune.pipeline import run_settings
from labtune.settings import Settings, resolve_settings

RESULTS = common.RESULTS / "protein.json"
ENDS = {"value": "difference", "low": "low", "high": "high"}  # of a score, by what labtune diff calls them
STARTS = {"letters": "protein.letters", "pre-trained": "protein.mini", "fresh": ""}


def main() -> None:
    """Measure, print a line a run, and write results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--starts", nargs="+", choices=list(STARTS), default=list(STARTS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="none: only what needs no training")
    parser.add_argument("--work", type=Path, default=common.ROOT / "runs" / "protein", help="prepared data and runs")
    parser.add_argument("--tune", nargs="*", metavar="KEY=VALUE", help="score these settings on validation data only")
    arguments = parser.parse_args()
    for name in arguments.cases or CASES:
        if name not in CASES:
            parser.error(f"unknown case {name!r}; known: {', '.join(CASES)}")
        flags = CASES[name].prepared(arguments.work / name)
        if arguments.tune is None:
            measure_baselines(name, flags)
        for seed in arguments.seeds:
            for start in arguments.starts:
                measure(name, start, seed, flags, arguments)
            if arguments.tune is None:
                measure_gain(name, seed, arguments.work)


def measure(name: str, start: str, seed: int, flags: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Run one case, unless its result is there."""
    case, catalog = CASES[name], lean(load_catalog(), CASES[name])
    encoder = STARTS[start] or fresh_weights(seed, arguments.work, catalog)
    sets = [*(arguments.tune or []), *(() if STARTS[start] else case.fresh)]
    settings = resolve_settings(catalog, case.task, {**flags, "encoder": encoder, "seed": seed}, sets)
    if arguments.tune is not None:
        _tune(name, start, settings, case, catalog, arguments.work)
        return
    identity = _identity(settings, catalog, case.head if STARTS[start] else None)
    runs = _read().get(name, {}).get("runs", [])
    if any(run["identity"] == identity for run in runs):
        return
    out = arguments.work / f"{name}-{identity}"
    metrics = run_settings(settings, out=out, resume=out.exists(), catalog=catalog).metrics
    scores = {"score": metrics["test"][case.score], "valid": metrics["valid"][case.score]["value"]}
    costs = {key: metrics["train"][key] for key in ("seconds", "tokens_per_second", "trainable_parameters")}
    where = common.machine()["device"]
    found = {"start": start, "seed": seed, "identity": identity, **scores, **costs, "device": where}
    print(name, found, flush=True)
    kept = [
        other for other in _read().get(name, {}).get("runs", []) if (other["start"], other["seed"]) != (start, seed)
    ]
    _write(name, {"score": case.score, "runs": [*kept, found], "split": metrics["split"]})


def measure_gain(name: str, seed: int, work: Path) -> None:
    """Compare the bundled weights with fresh ones on the same test records, where both runs' folders are there."""
    runs = {run["start"]: run["identity"] for run in _read().get(name, {}).get("runs", []) if run["seed"] == seed}
    pair = [runs.get(start, "") for start in ("fresh", "pre-trained")]
    folders = [work / f"{name}-{identity}" for identity in pair]
    gains = _read().get(name, {}).get("gains", [])
    if not all((folder / "metrics.json").exists() for folder in folders) or any(gain["runs"] == pair for gain in gains):
        return
    found = diff_runs(*folders)["scores"][CASES[name].score]
    gain = {"seed": seed, "runs": pair, "score": {end: found[key] for end, key in ENDS.items()}}
    print(name, "gain", gain, flush=True)
    _write(name, {"gains": [*(other for other in gains if other["seed"] != seed), gain]})


def measure_baselines(name: str, flags: dict[str, Any]) -> None:
    """Score the models that are not trained here, unless their results are there."""
    case, catalog = CASES[name], load_catalog()
    task, weights = catalog.task(case.task), _weights("protein.mini", catalog)
    known = _read().get(name, {}).get("baselines", {})
    of_weights = {target: weights if target == ATTENTION else "" for target in case.baselines or (task.baseline,)}
    needed = [target for target, used in of_weights.items() if known.get(target, {}).get("weights") != used]
    if not needed:
        return
    splits = load_splits(task, resolve_settings(catalog, case.task, {**flags, "encoder": "protein.mini"}))
    metrics = [catalog.build("metrics", metric, splits.labels) for metric in task.metrics]
    for target in needed:
        predict = resolve(target)(splits.records["train"], splits.labels)
        found = score(metrics, predict(splits.records["test"]), splits.records["test"])[case.score]
        known[target] = {**found, "weights": of_weights[target]}
        print(name, target, known[target], flush=True)
    _write(name, {"score": case.score, "baselines": known})


def lean(catalog: Catalog, case: Case) -> Catalog:
    """The case's task without what does not change with the seed: baseline, slices, drawings."""
    task = replace(catalog.tasks[case.task], baseline="", slices={}, views=())
    return replace(catalog, tasks={**catalog.tasks, case.task: task})


def fresh_weights(seed: int, work: Path, catalog: Catalog) -> str:
    """Write the encoder's network with fresh weights, unless it is there."""
    folder = work / f"fresh{seed}"
    if not folder.exists():
        fresh_encoder("protein.mini", catalog, config={}, seed=stable_seed("fresh", seed)).save(folder)
    return str(folder)


def _tune(name: str, start: str, settings: Settings, case: Case, catalog: Catalog, work: Path) -> None:
    """Print the validation score; test data are left out where they have a file of their own."""
    data = {part: path for part, path in settings.data.items() if part != "test"}
    out = work / "tuning"
    shutil.rmtree(out, ignore_errors=True)
    metrics = run_settings(replace(settings, data=data), out=out, catalog=catalog).metrics
    print(name, start, "valid", metrics["valid"][case.score], f"{metrics['train']['seconds']:.0f} s", flush=True)


def _identity(settings: Settings, catalog: Catalog, head: Path | None) -> str:
    """Name a run by its settings and the weights that it starts from; where files lie does not count."""
    weights = _weights(settings.encoder, catalog)
    text = replace(settings, encoder=weights, data={}).to_toml()
    if head is not None:
        text += hashlib.sha256(head.read_bytes()).hexdigest()
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _weights(encoder: str, catalog: Catalog) -> str:
    """Name the weights of an encoder."""
    if encoder == STARTS["letters"]:
        return encoder
    file = encoder_folder(encoder, catalog) / "model.safetensors"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _read() -> dict[str, Any]:
    cases: dict[str, Any] = json.loads(RESULTS.read_text())["cases"] if RESULTS.exists() else {}
    return cases


def _write(name: str, content: dict[str, Any]) -> None:
    cases = _read()
    cases[name] = {**cases.get(name, {}), **content}
    common.write("protein", {"command": "python benchmarks/quality/protein.py", "cases": cases})


if __name__ == "__main__":
    main()
