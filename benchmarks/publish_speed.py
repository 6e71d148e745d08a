"""The results page's tables of speed."""

from __future__ import annotations

import statistics
from typing import Any

from pages import RESULTS, read, table

TITLES = {
    "conll2003": "CoNLL-2003 with minilm",
    "phrasebank": "PhraseBank with minilm",
    "secondary_structure": "FLIP secondary structure with an encoder of ESM-2's shape at 8 million parameters",
}
COMPILED = "labtune trains, compiled"
INTRO = """## Speed beside the Trainer and the pipeline

Both sides learn from the same records, with the same encoder and the same number of records a step, and predict the
same records; they take turns on an otherwise idle machine. Figures are real tokens a second (padding is not counted),
medians of the rounds; ratios are taken round by round, and given as their median and range. Best flags are `bf16` and
grouping by length. The share is that of labtune's matrix arithmetic in the rate of bfloat16 matrix products that was
measured right after; where that rate was low, the machine was slow then, and the share is flattered.
"""
# Wishes that were written down before anything was measured.
AIMS = (
    "The aims were 8 times the Trainer with default flags and 2 times with best flags on text, 2.5 times with best "
    "flags on proteins, 3 times the pipeline, and half of the processor's rate. What the tables show below these is "
    "missed. This processor has no matrix unit, so matrix products, which both sides need, bound what can be won.\n"
)


def speed_sections() -> list[str]:
    """Every table of speed that was measured."""
    found = [name for name in TITLES if (RESULTS / f"speed-{name}.json").exists()]
    sections = ["\n".join([INTRO, AIMS]), *(case_section(name) for name in found)] if found else []
    if (RESULTS / "gpu.json").exists():
        sections.append(gpu_section())
    if (RESULTS / "preparation.json").exists():
        sections.append(preparation_section())
    if (RESULTS / "small_steps.json").exists():
        sections.append(small_steps_section())
    return sections


def case_section(name: str) -> str:
    """One case: a row for each side."""
    content = read(f"speed-{name}")
    rows = [["", "real tokens/s", "labtune over this"]]
    for side, speed in content["tokens_per_second"].items():
        rows.append([side, f"{speed:,.0f}", "" if side.startswith("labtune") else times(ratios(content, side))])
    share = (
        f"\n{content['batch_size']} records or {content['tokens_a_step']:,.0f} tokens a step, "
        f"{len(content['rounds'])} rounds; labtune's training reaches {content['share_of_matmul_rate']:.0%} of "
        f"{content['matmul_rate'] / 1e9:,.0f} GFLOP/s.\n"
    )
    return "\n".join([f"### {TITLES[name]}\n", f"`python {content['command']}`\n", table(rows), share, facts(content)])


def gpu_section() -> str:
    """The one run on a GPU."""
    content = read("gpu")
    speed = content["speed"]
    rows = [["", "real tokens/s", "labtune over this"]]
    for side, value in speed["tokens_per_second"].items():
        rows.append([side, f"{value:,.0f}", "" if side.startswith("labtune") else times(ratios(speed, side))])
    used = speed["model_flop_utilisation"]
    sheet = f" and {used:.0%} of that of the data sheet" if used else ""
    medians = speed["tokens_per_second"]
    compiled = medians[COMPILED] / medians["Trainer, best flags"]
    exact = sum(check["ok"] for check in content["checks"])
    said = (
        f"\nCompiled over the Trainer, by medians: {compiled:.1f}. With compiled blocks (setting `compile`) labtune's "
        f"training reaches {speed['share_of_matmul_rate']:.0%} of the measured rate of matrix products{sheet}. "
        f"{content.get('remark', '')} {exact} of {len(content['checks'])} checks of exactness hold.\n"
    )
    title = "### ESM-2's shape at 650 million parameters on a GPU\n"
    return "\n".join([title, f"`python {content['command']}`\n", table(rows), said, facts(content)])


def preparation_section() -> str:
    """What comes before the arithmetic."""
    content = read("preparation")
    rows = [["data", "records", "tokens", "reading, s", "tokenising, s", "a step's batch, ms"]]
    for row in content["rows"]:
        seconds = [f"{row[key]:.2f}" for key in ("read_seconds", "tokenise_seconds", "batch_milliseconds")]
        rows.append([TITLES[row["case"]].split(" with ")[0], f"{row['records']:,}", f"{row['tokens']:,}", *seconds])
    note = (
        "Training data; seconds of one core, once for a run. Beside minutes of training nothing would be won by "
        "tokenising in several processes, keeping the tokens on disk or preparing batches ahead, so labtune does none "
        "of them."
    )
    return "\n".join(["### Before the arithmetic\n", f"`python {content['command']}`\n", f"{note}\n", table(rows), ""])


def small_steps_section() -> str:
    """What keeping memory saves."""
    content = read("small_steps")
    rows = [["a step", "processor time, ms", "fresh pages"]]
    for name, row in content["rows"].items():
        rows.append([name, f"{row['processor_milliseconds']:.0f}", f"{row['fresh_pages']:,.0f}"])
    note = (
        "One training step of CoNLL-2003 with minilm in one thread, medians of a few steps; fresh pages are 4 KB each, "
        "cleared by the system. Other work ran beside it: times vary by a tenth from run to run."
    )
    return "\n".join(["### A small step\n", f"`python {content['command']}`\n", f"{note}\n", table(rows), ""])


def speed_sentence() -> str:
    """The README's words on speed; empty when it was not measured."""
    if not (RESULTS / "speed-conll2003.json").exists():
        return ""
    content = read("speed-conll2003")
    best, default, pipeline = (
        statistics.median(ratios(content, side))
        for side in ("Trainer, best flags", "Trainer, default flags", "pipeline, batches of 32 in bfloat16")
    )
    return (
        f"In turns on the same machine it trains {best:.1f} times as fast as `transformers.Trainer` with its best "
        f"flags and {default:.1f} times as fast as with its default ones, and predicts {pipeline:.1f} times as fast as "
        "the pipeline in batches."
    )


def ratios(content: dict[str, Any], side: str) -> list[float]:
    """Labtune's speed over another side's, round by round."""
    ours = "labtune trains" if side.startswith("Trainer") else "labtune predicts"
    return [row[ours] / row[side] for row in content["rounds"]]


def times(values: list[float]) -> str:
    """Median and range of ratios."""
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def facts(content: dict[str, Any]) -> str:
    """Where and when."""
    about = content["facts"]
    versions, hardware = about["versions"], about["hardware"]
    return (
        f"{about['date']}, {hardware['device']}, {hardware['cores']} cores, torch {versions['torch']}, transformers "
        f"{versions['transformers']}.\n"
    )
