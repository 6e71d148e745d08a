"""Named settings; the numbers were chosen on validation data, see ``benchmarks/quality/expression.py``."""

from __future__ import annotations

from labtune.specs import Preset

_CONV = {
    "encoder": "expression.conv",
    "epochs": 15,
    "batch_size": 64,
    "batch_tokens": 16384,
    "learning_rate": 5e-3,
    "head_learning_rate": 5e-3,
    "dropout": 0.2,
    "weight_decay": 0.1,
    "encoder_options": {"shift": 3},
    "precision": "float32",
}
_ROTARY = {
    "encoder": "expression.rotary",
    "epochs": 20,
    "batch_size": 64,
    "batch_tokens": 16384,
    "learning_rate": 5e-4,
    "head_learning_rate": 1e-3,
    "precision": "float32",
}

SEQUENCE_PRESETS = (
    Preset(name="conv", summary="Compact convolutional network from scratch; minutes on a CPU.", settings=_CONV),
    Preset(name="rotary", summary="Small rotary transformer from scratch.", settings=_ROTARY),
    Preset(
        name="forward",
        summary="As conv, reading one strand: for RNA, and where the direction decides.",
        settings={**_CONV, "weight_decay": 0.01, "encoder_options": {"strands": "forward"}},
    ),
)

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

CELL_PRESETS = (
    Preset(
        name="normalised", summary="Compact network on principal components; a minute on a CPU.", settings=_PROFILES
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
            "tokenizer": {"genes": 2000, "components": 20, "standardise": True},
            "encoder_options": {"features": 20, "width": 32},
        },
    ),
)
