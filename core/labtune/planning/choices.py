"""What may be changed where a training does not fit, in the order in which it is tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labtune.settings import Settings

SMALLEST_PASS = 256  # tokens
LIGHTER = (("lora", 32), ("lora", 16), ("lora", 8), ("lora", 4), ("head", 4))


def same(settings: Settings) -> Iterator[dict[str, Any]]:
    """Changes that leave what is learned as it is: smaller passes, then computing activations twice."""
    tokens = settings.batch_tokens // 2
    while tokens >= SMALLEST_PASS:
        yield {"batch_tokens": tokens}
        tokens //= 2
    recomputed = {"encoder_options": {**settings.encoder_options, "gradient_checkpointing": True}}
    yield recomputed
    yield {"batch_tokens": max(settings.batch_tokens // 4, SMALLEST_PASS), **recomputed}


def lighter(settings: Settings) -> Iterator[dict[str, Any]]:
    """Lighter methods and fewer bits, the most capable first."""
    for method, bits in LIGHTER:
        if (method, bits) != (settings.method, settings.bits) and bits <= settings.bits:
            yield {"method": method, "bits": bits, "tuning": {} if method != settings.method else settings.tuning}


def flags(changes: Mapping[str, Any]) -> str:
    """Write changes as arguments of the command line."""
    words = [f"--{name} {changes[name]}" for name in ("method", "bits") if name in changes]
    if "batch_tokens" in changes:
        words.append(f"--set batch_tokens={changes['batch_tokens']}")
    if "encoder_options" in changes:
        words.append("--set encoder_options.gradient_checkpointing=true")
    return " ".join(words)
