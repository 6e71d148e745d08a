"""Numbers and names as people read them."""

from __future__ import annotations

from typing import Any

NONE = "\N{EN DASH}"  # a cell without a value
MINUS = "\N{MINUS SIGN}"  # as wide as a plus, where a hyphen is lost beside digits
PARTS = {"train": "training", "valid": "validation", "test": "test"}
KNOWN = {
    **{word: word.upper() for word in ("auroc", "auprc", "ece", "f1", "mae", "mcc", "mse", "nll", "q3", "q8", "rmse")},
    **{word: word.title() for word in ("brier", "pearson", "spearman")},
    "mb": "(MB)",
    "r2": "R²",
}


def label(name: str) -> str:
    """Turn a key into words: ``macro_f1`` is "macro F1"."""
    return " ".join(KNOWN.get(word, word) for word in name.split("_"))


def title(name: str) -> str:
    """Turn a key into words with a capital: ``peak_memory_mb`` is "Peak memory (MB)"."""
    return capital(label(name))


def capital(words: str) -> str:
    """Begin with a capital, and leave the rest as it is."""
    return words[:1].upper() + words[1:]


def score(value: float | None) -> str:
    """Three decimals; four significant digits for large numbers."""
    if value is None:
        return NONE
    return number(f"{value:.3f}" if abs(value) < 100 else f"{value:,.4g}")


def number(text: str) -> str:
    """Return a number in digits with a minus sign for a leading hyphen."""
    return text.replace("-", MINUS, 1) if text.startswith("-") else text


def inside(sentence: str) -> str:
    """Return a sentence so that it goes on another one: without a capital, unless it begins with a name."""
    return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence


def cell(value: Any) -> str:
    """Any value of a table: whole numbers with thousands separated, others with three decimals."""
    if value is None or value == "":
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return number(f"{value:,}")
    if isinstance(value, float):
        return number(f"{value:,.0f}") if abs(value) >= 1000 else _small(value)
    if isinstance(value, list | tuple):
        return ", ".join(cell(entry) for entry in value)
    return str(value)


def setting(value: Any) -> str:
    """Write a setting as it stands in the file: exact, not rounded."""
    if isinstance(value, list | tuple):
        return ", ".join(setting(entry) for entry in value)
    if isinstance(value, bool):
        return str(value).lower()
    return NONE if value is None or value == "" else str(value)


def duration(seconds: float) -> str:
    """Give seconds in the one or two units that say something."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def count(number: int, word: str) -> str:
    """Return a number with its noun: "1 record", "2,000 records"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _small(value: float) -> str:
    return score(value) if value == 0 or abs(value) >= 0.001 else number(f"{value:.2g}")
