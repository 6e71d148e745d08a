"""Named settings for cells and samples, chosen on validation data: see ``benchmarks/quality/cells.py``."""

from __future__ import annotations

from labtune.specs import Preset

_PROFILES = {
    "encoder": "expression.normalised",
    "epochs": 30,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "head_learning_rate": 1e-3,
    "dropout": 0.3,
    "weight_decay": 0.05,
    "precision": "float32",
}
_SETS = {
    "encoder": "expression.set",
    "epochs": 20,
    "batch_size": 32,
    "batch_tokens": 8192,
    "learning_rate": 1e-3,
    "head_learning_rate": 1e-3,
    "dropout": 0.2,
    "weight_decay": 0.05,
    "precision": "float32",
}

CELL_PRESETS = (
    Preset(
        name="normalised",
        summary="Compact network on normalised expression; a minute on a CPU.",
        settings={**_PROFILES, "encoder_options": {"depth": 2.0}},
    ),
    Preset(
        name="ranks",
        summary="Set transformer on the order of the genes that stand out; can be pre-trained.",
        settings={**_SETS, "tokenizer": {"name": "expression.ranks"}},
    ),
    Preset(
        name="bins",
        summary="Set transformer on the most expressed genes and their binned values.",
        settings={**_SETS, "tokenizer": {"name": "expression.bins"}},
    ),
)
SAMPLE_PRESETS = (
    Preset(
        name="regularised",
        summary="A small network with strong regularisation, for tens of samples with thousands of probes.",
        settings={
            **_PROFILES,
            "batch_size": 16,
            "dropout": 0.5,
            "weight_decay": 0.2,
            "tokenizer": {"genes": 2000, "standardise": True, "separation": 1.0},
            "encoder_options": {
                "features": 2000,
                "components": 20,
                "hidden_share": 0.5,
                "width": 32,
                "straight": 1.0,
            },
        },
    ),
)
