"""The part of the results page on numbers from sequences."""

from __future__ import annotations

from typing import Any

from pages import RESULTS, interval, read, table

CASES = {
    "yeast": "yeast, random promoters",
    "yeast_motifs": "yeast, detectors started from JASPAR's fungal motifs",
    "plant_leaf": "plant core promoters in tobacco leaves",
    "utr3": "3' UTR, stability in two cell lines",
}
NOTE = (
    "Pearson correlation with 95 % intervals on a tenth of the data; eight tenths trained, one tenth chose the epoch. "
    "Plant promoters are split by gene, 3' UTRs by cluster of alike sequences; of these the mean over two cell lines, "
    "whose own measurements correlate at 0.54, is given. The baseline is ridge regression on "
    "counts of 3-mers to 6-mers, of the same training data. *Carried over*: the yeast models on promoters that drifted "
    "by mutation from random ones, 2,983 of another experiment."
)
SPEED = "speed-sequences"


def sequence_sections() -> list[str]:
    """A row for each case and seed, and what training and prediction cost; nothing where nothing was measured."""
    if not (RESULTS / "sequences.json").exists():
        return []
    content = read("sequences")
    rows = [["data", "seed", "labtune", "ridge", "carried over", "ridge, carried over", "epochs"]]
    rows += [_row(run) for run in content["runs"]]
    parts = ["## Numbers from sequences\n", f"`{content['command']}`\n", f"{NOTE}\n", table(rows), ""]
    return ["\n".join([*parts, *(_speed() if (RESULTS / f"{SPEED}.json").exists() else [])])]


def _row(run: dict[str, Any]) -> list[str]:
    carried = run.get("carried")
    sides = [interval(carried[side]) if carried else "" for side in ("value", "baseline")]
    ours, ridge = interval(run["value"]), interval(run["baseline"])
    return [CASES[run["case"]], str(run["seed"]), ours, ridge, *sides, str(run["epochs"])]


def _speed() -> list[str]:
    """A line for each number of threads."""
    content = read(SPEED)
    rows = [["threads", "records", "train in", "an epoch", "predicted a second", "a million in"]]
    for threads, found in content["by_threads"].items():
        training = [f"{found['training_minutes']:.1f} minutes", f"{found['seconds_an_epoch']:.0f} s"]
        rates = [f"{found['records_per_second']:,.0f}", f"{found['minutes_a_million']:.1f} minutes"]
        rows.append([threads, f"{found['records']:,}", *training, *rates])
    note = (
        "Sequences of 80 letters and the default preset with all its epochs, other work paused; predictions read both "
        "strands, from file to file. Beside other work two threads wait for each other, and one trains faster.\n"
    )
    return [f"`{content['command']}`\n", note, table(rows), ""]
