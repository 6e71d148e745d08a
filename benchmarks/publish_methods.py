"""The parts of the results page about methods, bits, learning rates, and entities of other fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pages import RESULTS, interval, read, table

from labtune.settings import METHODS

BITS = (32, 16, 8, 4)
GRIDS = {
    "phrasebank": "PhraseBank, all annotators agree (macro F1)",
    "conll2003": "CoNLL-2003, English (entity F1)",
    "secondary_structure": "FLIP secondary structure (Q3)",
}
FIRST_SWEEP = {"ner.conll2003": "CoNLL-2003 (entity F1)", "finance.sentiment": "PhraseBank (macro F1)"}
SHAPES = {"esm2_650m": "ESM-2 650M's shape", "esm2_3b": "ESM-2 3B's shape"}
APART = {  # in what the runs differ from the task's own settings
    "conll2003": " Words go in without their shapes, which only full fine-tuning would see.",
    "secondary_structure": " The head is one linear layer: convolutions would hide what the encoder learns.",
}
MEASURED = {
    "esm_memory_measured": "a CPU that multiplies bfloat16: resident memory, less that of the process before it, which "
    "had trained a tiny encoder",
    "esm_memory_measured_gpu": "an H100: the most memory that was allocated on it",
}
GIGA = 10**9


def method_sections() -> list[str]:
    """Everything of this kind that was measured."""
    makers: dict[str, Callable[[], str]] = {
        "breadth": breadth,
        **{f"grid-{name}": lambda name=name: grid(name) for name in GRIDS},
        "precision": precision,
        "closeness": closeness,
        "esm_memory": memory,
        **{name: lambda name=name: measured_memory(name) for name in MEASURED},
        "learning_rates": learning_rates,
    }
    return [make() for name, make in makers.items() if (RESULTS / f"{name}.json").exists()]


def breadth() -> str:
    """Entities of other fields and languages: a row for each data set."""
    content = read("breadth")
    rows = [["data", "train, validation, test", "words unknown", "test entity F1", "gazetteer", "training, s"]]
    for run in content["runs"]:
        sizes = ", ".join(f"{run['records'][part]:,}" for part in ("train", "valid", "test"))
        scores = [interval(run["test"]), interval(run["baseline"]), f"{run['train_seconds']:.0f}"]
        rows.append([run["about"], sizes, f"{run['unknown']:.0%}", *scores])
    note = (
        "`ner.spans` with its default preset (minilm, all weights), one seed; of the settings only the number of "
        "epochs was changed after a first run, as the validation data asked; 95 % intervals on test data. The "
        "gazetteer tags the names that training data have. It stays ahead in the loan agreements: they name the same "
        "few parties in clauses of the same words, and five of them are all there is to learn from. Unknown are the "
        "test set's words, in Chinese characters, that MiniLM's English vocabulary reads as one unknown token; those "
        "characters got tokens of their own, learned from these posts alone. For Chinese choose an encoder with a "
        "vocabulary of its own."
    )
    return section("Entities of other fields and languages", content["command"], note, rows)


def grid(name: str) -> str:
    """Every method at every bit width on one data set: a row for each combination."""
    content = read(f"grid-{name}")
    head = ["method", "bits", "validation", "test", "seeds", "trained", "memory, MB", "training, s", "model, MB"]
    rows = [head]
    for item in content["combinations"]:
        costs = [f"{item['trainable']:.2%}", f"{item['memory_mb']:.0f}", f"{item['seconds']:.0f}"]
        scores = [over_seeds(item["valid"]), over_seeds(item["test"]), str(len(item["seeds"]))]
        rows.append([item["method"], str(item["bits"]), *scores, *costs, f"{item['disk_mb']:.1f}"])
    sizes = ", ".join(f"{count:,} {part}" for part, count in content["records"].items())
    refused = ", ".join(f"{item['method']} at {item['bits']} bits" for item in content["refused"])
    best = content["recommendation"]["sentence"] if content["recommendation"] else "nothing is recommended."
    possible = len(METHODS) * len(BITS) - len(content["refused"])
    note = (
        f"{content['encoder']}, {content['epochs']} epochs, records: {sizes}. Each method at its default rate. "
        f"{len(content['combinations'])} of {possible} combinations measured so far; of these, by validation scores "
        f"and memory: {best} Memory is the peak of the whole process, Python and libraries included; times are of "
        f"one thread, with another such run on the second core. Refused: {refused}.{APART.get(name, '')}"
    )
    return section(f"Methods and bits: {GRIDS[name]}", content["command"], note, rows)


def over_seeds(found: dict[str, Any]) -> str:
    """Mean over seeds, their standard deviation, and the interval of a run."""
    spread = "" if found["spread"] is None else f" ± {found['spread']:.3f}"
    return f"{found['value']:.3f}{spread} [{found['low']:.3f}, {found['high']:.3f}]"


def precision() -> str:
    """Training in bfloat16 beside float32: a row for each data set and seed."""
    content = read("precision")
    rows = [["data", "seed", "float32", "bfloat16", "difference", "bfloat16 takes, of the time"]]
    for name, runs in content["data"].items():
        for run in runs:
            gap = f"{run['difference']:+.3f} [{run['low']:+.3f}, {run['high']:+.3f}]"
            share = f"{run['seconds']['bfloat16'] / run['seconds']['float32']:.0%}"
            rows.append([GRIDS[name], str(run["seed"]), f"{run['first']:.3f}", f"{run['second']:.3f}", gap, share])
    sizes = "; ".join(
        f"{GRIDS[name]}: {', '.join(f'{count:,} {part}' for part, count in content['records'][name].items())}"
        for name in content["data"]
    )
    note = (
        f"All weights learn for {content['settings']['epochs']} epochs, from the same first weights and in the same "
        "order; weights and optimiser are in float32 in both. Scores on test data, with the paired 95 % interval of "
        f"the difference. Records: {sizes}. Times are of one thread, with another such run on the second core."
    )
    return section("Arithmetic in bfloat16", content["command"], note, rows)


def closeness() -> str:
    """Predictions of one trained adapter on weights in fewer bits: a row for each data set and bit width."""
    content = read("closeness")
    rows = [["data", "bits", "relative error of logits", "same predictions", "test score", "at 32 bits"]]
    for name, found in content["data"].items():
        for run in found:
            scores = [f"{run[key]:.3f}" for key in ("value", "value_at_32_bits")]
            error = f"{run['relative_error_of_logits']:.3f}"
            rows.append([GRIDS[name], str(run["bits"]), error, f"{run['same_predictions']:.1%}", *scores])
    note = (
        "LoRA, trained for a few epochs on few hundred records over weights in 32 bits, then predicting over the same "
        "weights stored in fewer. Predictions are those of records; of a sentence, all its entities have to agree. "
    )
    return section("How close few bits stay", content["command"], note, rows)


def memory() -> str:
    """Planned memory of large encoders: a row for each method, a column for each bit width."""
    content = read("esm_memory")
    cells = {(run["shape"], run["method"], run["bits"]): run for run in content["runs"]}
    rows = [["encoder", "method", "learn", *(f"{bits} bits" for bits in BITS)]]
    for shape, told in SHAPES.items():
        for method in METHODS:
            found = [cells.get((shape, method, bits), {}) for bits in BITS]
            learning = next((run["trainable_parameters"] for run in found if "bytes" in run), None)
            if learning is not None:
                rows.append([told, method, f"{learning:,}", *map(gigabytes, found)])
    note = (
        f"GB (10⁹ bytes) for weights, gradients, AdamW's averages and activations, without Python and its libraries: "
        f"{content['batch_size']} sequences of {content['tokens']} tokens a step, {content['batch_tokens']:,} tokens a "
        "pass in bfloat16 over weights in float32 or fewer bits, with the default preset's head. Planned; below, small "
        "steps are measured beside their plans. Activations are most of it: halve `batch_tokens`, or set "
        "`encoder_options.gradient_checkpointing=true`, before taking fewer bits."
    )
    return section("Memory of large protein encoders", content["command"], note, rows)


def measured_memory(name: str) -> str:
    """One small step of a large encoder, measured beside its plan: a row for each method and bit width."""
    content = read(name)
    rows = [["encoder", "method", "bits", "planned, GB", "measured, GB", "plan is off by"]]
    for cell in content["cells"]:
        planned, measured = cell["planned_mb"], cell["measured_mb"]
        figures = [f"{planned / 1000:.2f}", f"{measured / 1000:.2f}", f"{planned / measured - 1:+.0%}"]
        rows.append([SHAPES[cell["shape"]], cell["method"], str(cell["bits"]), *figures])
    device = "a GPU" if name.endswith("gpu") else "a CPU"
    note = f"One step of {content['tokens']} tokens in one pass, random weights, on {MEASURED[name]}."
    return section(f"Memory of large protein encoders, measured on {device}", content["command"], note, rows)


def gigabytes(run: dict[str, Any]) -> str:
    """Total of one plan; refused combinations have none."""
    return f"{run['bytes']['total'] / GIGA:.1f}" if "bytes" in run else "refused" if run else ""


def learning_rates() -> str:
    """Validation scores of each method and rate: a row for each, the first sweep's columns before the second's."""
    first, second = read("learning_rates_first"), read("learning_rates")
    scores = {(task, run["method"], run["rate"]): run[task] for run in first["runs"] for task in FIRST_SWEEP}
    scores |= {(run["data"], run["method"], run["rate"]): run["value"] for run in second["runs"]}
    names = [name for name in (*FIRST_SWEEP, *GRIDS) if any(name == key[0] for key in scores)]
    first_titles = {name: f"{title}, first sweep" for name, title in FIRST_SWEEP.items()}
    titles = [first_titles.get(name) or f"{GRIDS[name]}, second" for name in names]
    rows = [["method", "rate", *titles]]
    for method, rate in sorted({key[1:] for key in scores}, key=lambda pair: (METHODS.index(pair[0]), pair[1])):
        found = [scores.get((name, method, rate)) for name in names]
        rows.append([method, f"{rate:g}", *("" if value is None else f"{value:.3f}" for value in found)])
    note = (
        f"How the default rates of narrow encoders were chosen: validation scores of MiniLM, one seed, weights in 32 "
        f"bits. The first sweep: {first['records']} training records, {first['epochs']} epochs, but only 54 validation "
        f"records. The second, with more of them, goes beyond the highest rates of the first, and is not complete."
    )
    return section("Learning rates", second["command"], note, rows)


def section(title: str, command: str, note: str, rows: list[list[str]]) -> str:
    """Title, command, what to know, and the table."""
    return "\n".join([f"## {title}\n", f"`{command}`\n", f"{note}\n", table(rows), ""])
