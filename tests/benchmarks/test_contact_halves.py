"""Contacts of two halves of chains, each tested by what the other half taught."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from labtune.catalog import load_catalog

CHAINS = {"train": 12, "valid": 4, "test": 7}


@pytest.fixture
def halves(script: Callable[[str], Any]) -> Any:
    return script("quality/contact_halves.py")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Few chains of the sample, and in the test part a relative of a training chain."""
    (tmp_path / "chains").mkdir()
    rows = {part: [json.loads(line) for line in _sample(part).splitlines()[:number]] for part, number in CHAINS.items()}
    chance, relative = random.Random(0), dict(rows["train"][0], id="relative")
    relative["sequence"] = "".join(
        chance.choice("AG") if chance.random() < 0.2 else one for one in relative["sequence"]
    )
    rows["test"].append(relative)
    for part, some in rows.items():
        (tmp_path / "chains" / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    return tmp_path


def _sample(part: str) -> str:
    return (files("labtune_protein") / "sample" / f"{part}.contacts.jsonl").read_text()


def _ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def test_relatives_are_not_parted(halves: Any, work: Path) -> None:
    halves.write_halves(work)
    first, second = (_ids(work / f"half{half}.jsonl") for half in (0, 1))
    assert abs(len(first) - len(second)) <= 2
    assert sorted(first + second) == sorted(
        _ids(work / "chains" / "train.jsonl") + _ids(work / "chains" / "test.jsonl")
    )
    together = first if "relative" in first else second
    assert _ids(work / "chains" / "train.jsonl")[0] in together


def test_each_half_is_judged_by_what_the_other_taught(halves: Any, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flip = work / "bio" / "flip_secondary_structure"
    flip.mkdir(parents=True)
    known = json.loads((work / "chains" / "train.jsonl").read_text().splitlines()[1])["sequence"]
    (flip / "train.sequences.fasta").write_text(f">known\n{known[5:30]}\n")
    monkeypatch.setenv("LABTUNE_DATA", str(work))
    catalog = halves.lean(load_catalog(), halves.CASE)
    halves.write_halves(work)
    for half in halves.HALVES:
        data = {"train": f"{work}/half{half}.jsonl", "valid": f"{work}/chains/valid.jsonl"}
        data["test"] = f"{work}/half{1 - half}.jsonl"
        for start in halves.STARTS:
            halves.learn(start, data, 0, halves.head.FAMILIES, work / f"{start}-{half}-0", catalog)
        taught = work / f"recipe{half}" / "run"
        taught.mkdir(parents=True)
        (taught / "metrics.json").write_text(json.dumps({"valid": {"p_at_l_long": {"value": 0.1}}}))
    found = halves.results(work, [0], catalog)
    sizes = [len(_ids(work / f"half{1 - half}.jsonl")) for half in halves.HALVES]
    assert found["chains"] == sizes
    assert found["strangers"] == sum(sizes) - 1
    values = {}
    for run in found["runs"]:
        alone = [json.loads((work / f"{run['start']}-{half}-0" / "metrics.json").read_text()) for half in (0, 1)]
        scores = [metrics["test"]["p_at_l_long"]["value"] for metrics in alone]
        values[run["start"]] = sum(n * score for n, score in zip(sizes, scores, strict=True)) / sum(sizes)
        assert run["score"]["value"] == pytest.approx(values[run["start"]])
    assert found["gains"][0]["score"]["value"] == pytest.approx(values["pre-trained"] - values["fresh"])
    assert all(0 <= score["value"] <= 1 for score in found["baselines"].values())


def test_only_pre_trained_runs_start_from_the_head_of_their_half(halves: Any, work: Path) -> None:
    catalog = halves.lean(load_catalog(), halves.CASE)
    data = {part: f"{work}/chains/{part}.jsonl" for part in CHAINS}
    with pytest.raises(FileNotFoundError, match="nowhere"):
        halves.learn("pre-trained", data, 0, work / "nowhere", work / "pre-trained", catalog)
    halves.learn("fresh", data, 0, work / "nowhere", work / "fresh", catalog)
