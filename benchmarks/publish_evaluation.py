"""The parts of the results page about numbers that hold: audit, cost, intervals, coverage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pages import RESULTS, read
from publish_scale import section

from labtune.evaluation.report.words import count

KINDS = {
    "duplicates_across": "an input of another part",
    "duplicates_within": "an input of the same part",
    "near_duplicates_across": "nearly an input of another part",
    "near_duplicates_within": "nearly an input of the same part",
    "contradicting_labels": "an input with two labels",
    "unusual_lengths": "a hundred times as long",
    "empty_inputs": "empty",
    "groups_across": "a group in two parts",
}
STEPS = {
    "audit": "audit of the data",
    "baseline": "baseline and its intervals",
    "intervals": "intervals of all scores",
    "calibration": "calibration and coverage",
    "slices": "slices",
}


def evaluation_sections() -> list[str]:
    """Everything of this kind that was measured."""
    makers: dict[str, Callable[[], str]] = {
        "cost": cost,
        "audit-text": lambda: audit("text", "Sentences of eight public data sets"),
        "audit-sequences": lambda: audit("sequences", "Pieces of real proteins, compared by MMseqs2"),
        "audit-sequences-built-in": lambda: audit("sequences-built-in", "Pieces of real proteins"),
        "audit-noise": noise,
        "intervals": intervals,
        "coverage-phrasebank": phrasebank,
        "coverage-conll2003": conll2003,
        "coverage-residues": residues,
    }
    return [make() for name, make in makers.items() if (RESULTS / f"{name}.json").exists()]


def cost() -> str:
    """What each step adds to a run."""
    content = read("cost")
    rest = {clock: content["total"][clock] - sum(s[clock] for s in content["steps"].values()) for clock in CLOCKS}
    rows = [["step", "processor seconds", "of everything else"]]
    for name, seconds in content["steps"].items():
        share = seconds["processor"] / rest["processor"]
        rows.append([STEPS[name], f"{seconds['processor']:.1f}", f"{share:.1%}"])
    rows.append(
        ["all", f"{content['total']['processor'] - rest['processor']:.1f}", f"{content['added']['processor']:.1%}"]
    )
    some = "" if content["every"] == 1 else f" on every {content['every']}th document"
    note = (
        f"A run on CoNLL-2003{some}, with all weights trained for {content['epochs']} epoch: the fewer epochs, the "
        "larger the share. Everything else is reading, training, prediction and the report."
    )
    return section("What honest numbers cost", content["command"], note, rows)


CLOCKS = ("wall", "processor")
SHORT = (
    ", which in short texts is more than the check calls near. Lengths are told of only far outside what is usual, so "
    "that a hundred times a short text may pass."
)


def audit(name: str, what: str) -> str:
    """Planted faults and those found."""
    content = read(f"audit-{name}")
    rows = [["planted", "records or groups", "found", "false alarms", "in the data before"]]
    for kind, found in content["kinds"].items():
        figures = [found["planted"], found["found"], found["false_alarms"], found["in_the_data"]]
        rows.append([KINDS[kind], *(f"{figure:,}" for figure in figures)])
    seconds, threads = content["seconds"], content["facts"]["hardware"]["threads"]
    waited = seconds["wall"] * threads > 2 * seconds["processor"]
    clock = f"{seconds['wall']:.0f} s by the clock" + (", beside other work" if waited else "")
    took = f"{seconds['processor']:.0f} processor seconds ({count(threads, 'thread')}; {clock})"
    note = (
        f"{what}: {content['records']:,} records with the planted ones, audited in {took}. Near duplicates differ "
        f"in one or two characters of a hundred{SHORT if name == 'text' else '.'}"
    )
    return section(f"Audit: {name.replace('-built-in', ', without MMseqs2')}", content["command"], note, rows)


def noise() -> str:
    """Exchanged labels and those found."""
    content = read("audit-noise")
    told, planted = content["told"], content["planted"]
    rows = [["exchanged labels", "told", "right among the told", "found"]]
    rows.append([str(planted), str(told), f"{content['found'] / told:.0%}", f"{content['found'] / planted:.0%}"])
    note = (
        f"One label in twenty of PhraseBank (all annotators agree, {content['records']:,} sentences) was exchanged. Of "
        f"the first {planted} that are told, {content['found_among_the_first']} are exchanged ones; chance would give "
        f"{planted * planted / content['records']:.0f}."
    )
    return section("Audit: wrong labels", content["command"], note, rows)


def intervals() -> str:
    """Coverage of intervals and false alarms of tests."""
    content = read("intervals")
    rows = [["records", "groups", "accuracy held", "macro F1 held", "tests that cry wolf"]]
    for case in content["cases"]:
        shares = [case["coverage"]["accuracy"], case["coverage"]["macro_f1"], case["false_alarms"]]
        rows.append(
            [f"{case['size']:,}", "of ten" if case["grouped"] else "none", *(f"{share:.1%}" for share in shares)]
        )
    note = (
        f"{content['repeats']} simulated test sets a row. 95 % intervals should hold the true score in 95 % of them, "
        "and paired tests of equally good models find a difference in 5 %. Fifty records in groups are five groups."
    )
    return section("Intervals and tests by simulation", content["command"], note, rows)


def phrasebank() -> str:
    """Sets of labels on PhraseBank."""
    content = read("coverage-phrasebank")
    run = content["runs"][0]
    rows = [["promised", "realised", "labels in a set", "answered", "accuracy of the answers"]]
    for level in _levels(run):
        names = ("coverage", "set_size", "answered", "accuracy_answered")
        rows.append([level, *(f"{run[f'{name}_{level}']['mean']:.3f}" for name in names)])
    note = (
        f"PhraseBank (50 % agreement), a head on frozen MiniLM, {run['held_out']:,} held-out sentences dealt "
        f"{content['deals']} times to calibration and test; means over the deals, first seed. The temperature, "
        f"{run['temperature']['mean']:.2f}, took the expected calibration error from {run['ece_before']['mean']:.3f} "
        f"to {run['ece_after']['mean']:.3f}."
    )
    return section("Realised coverage: sentiment", content["command"], note, rows)


def conll2003() -> str:
    """Answered entities of CoNLL-2003."""
    content = read("coverage-conll2003")
    run = content["runs"][0]
    halves, published = run["test_halves"], run["as_published"]
    rows = [
        ["promised", "realised on halves of the test data", "on the test data as published", "answered", "precision"]
    ]
    for level in _levels(halves):
        real = [published[f"coverage_{level}_{end}"] for end in ("value", "low", "high")]
        rows.append(
            [
                level,
                f"{halves[f'coverage_{level}_value']['mean']:.3f}",
                f"{real[0]:.3f} [{real[1]:.3f}, {real[2]:.3f}]",
                f"{published[f'answered_{level}']:.0%}",
                f"{published[f'precision_answered_{level}']:.3f}",
            ]
        )
    documents = run["documents"]
    note = (
        "What is promised: one minus the share of a document's found entities that are wrong and answered. MiniLM, "
        "trained on every fourth training document for two epochs. Halves: test documents dealt "
        f"{halves['answered_0.9']['n']} times to both. As published: calibrated on the {documents['valid']} "
        f"validation documents, measured on the {documents['test']} test documents, which are of another time, so that "
        "the promise need not hold. Answered and precision of the answered are of the latter."
    )
    return section("Realised coverage: entities", content["command"], note, rows)


def residues() -> str:
    """Sets of states of residues."""
    content = read("coverage-residues")
    run = content["runs"][0]
    halves, published, chains = run["test_halves"], run["as_published"], run["chains"]
    rows = [["promised", "realised on halves of the test chains", "on all test chains", "states in a set"]]
    rows[0] += ["answered", "accuracy of the answers"]
    for level in _levels(published):
        real = [published[f"coverage_{level}_{end}"] for end in ("value", "low", "high")]
        rows.append(
            [
                level,
                f"{halves[f'coverage_{level}']['mean']:.3f}",
                f"{real[0]:.3f} [{real[1]:.3f}, {real[2]:.3f}]",
                f"{published[f'set_size_{level}']:.2f}",
                f"{published[f'answered_{level}']:.0%}",
                f"{published[f'accuracy_answered_{level}']:.3f}",
            ]
        )
    note = (
        "What is promised: the share of a chain's residues whose set holds the true state. Helix, strand or coil by "
        f"convolutions on letters, without an encoder, trained on {chains['train']:,} of FLIP's chains. Halves: the "
        f"test chains dealt {content['deals']} times to calibration and test. All: calibrated on {chains['valid']:,} "
        f"other training chains, which also chose the epoch, and measured on the {chains['test']:,} chains of FLIP's "
        "validation split; sets and answers are of these."
    )
    return section("Realised coverage: residues", content["command"], note, rows)


def _levels(found: dict[str, Any]) -> list[str]:
    return sorted({name.split("_")[1] for name in found if name.startswith("answered_")})
