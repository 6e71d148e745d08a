"""Settings under a name: what the plugin's tasks are run with. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Any

from labtune.specs import Preset

Settings = dict[str, Any]

MINI: Settings = {
    "encoder": "protein.mini",
    "epochs": 10,
    "batch_size": 32,
    "batch_tokens": 8192,
    "learning_rate": 5e-4,
    "head_learning_rate": 2e-3,
}
FROZEN: Settings = {**MINI, "method": "head"}
LETTERS: Settings = {**FROZEN, "encoder": "protein.letters"}
ESM2: Settings = {**MINI, "encoder": "facebook/esm2_t6_8M_UR50D", "method": "lora", "learning_rate": 1e-3}
ESM2_SUMMARY = "ESM-2 of 8 million parameters from the hub, with LoRA."

CONVOLUTION: Settings = {  # it starts pre-trained; from chance it wants five epochs at twice the rate
    "head": {"name": "protein.convolution", "dropout": 0.15},
    "head_learning_rate": 1.5e-3,
    "batch_size": 16,
    "epochs": 3,
}
COMPOSITION: Settings = {"name": "protein.composition"}
STATES: Settings = {"name": "protein.states"}
PAIRS: Settings = {  # maps take the square of a length; from chance the head wants eight epochs at four times the rate
    "head_learning_rate": 5e-4,
    "batch_tokens": 512,
    "batch_size": 16,
    "epochs": 3,
}


def residue_presets(*, chained: bool) -> tuple[Preset, ...]:
    """Presets of tasks with a target a residue; with ``chained``, also one that predicts chains of classes."""
    crf = Preset(
        name="crf",
        summary="The bundled encoder, all weights, and the likeliest chain of classes.",
        settings={**MINI, "head": {"name": "token_crf"}, "loss": {"name": "crf"}},
    )
    return (
        Preset(
            name="mini",
            summary="Convolutions on letters and on the bundled encoder's states; minutes on a CPU.",
            settings={**FROZEN, **CONVOLUTION},
        ),
        Preset(
            name="letters",
            summary="Convolutions on letters alone, without an encoder; half the time.",
            settings={**LETTERS, **CONVOLUTION},
        ),
        Preset(
            name="full",
            summary="The convolutions of mini, and the encoder learns as well.",
            settings={**MINI, **CONVOLUTION},
        ),
        *((crf,) if chained else ()),
        Preset(name="esm2", summary=ESM2_SUMMARY, settings=ESM2),
    )


SEQUENCES = (
    Preset(
        name="mini",
        summary="A kernel regression on the bundled encoder's states; minutes on a CPU.",
        settings={**FROZEN, "head": STATES},
    ),
    Preset(
        name="letters",
        summary="A kernel regression on composition alone, without an encoder; seconds.",
        settings={**LETTERS, "epochs": 5, "head": COMPOSITION},
    ),
    Preset(name="full", summary="The bundled encoder, all weights.", settings=MINI),
    Preset(name="esm2", summary=ESM2_SUMMARY, settings=ESM2),
)
VARIANTS = Preset(
    name="variants",
    summary="Variants of one protein: a kernel regression on substitutions, without an encoder; seconds.",
    settings={
        **LETTERS,
        "head": {"name": "protein.variants"},
        "head_learning_rate": 1e-3,
        "epochs": 3,
        "batch_size": 128,
    },
)
CONTACTS = (
    Preset(
        name="mini",
        summary="LoRA on the bundled encoder, and a head of pairs that is pre-trained; minutes on a CPU.",
        settings={**MINI, **PAIRS, "method": "lora", "learning_rate": 1e-3},
    ),
    Preset(name="full", summary="The bundled encoder, all weights.", settings={**MINI, **PAIRS}),
    Preset(name="esm2", summary=ESM2_SUMMARY, settings={**ESM2, **PAIRS}),
)
