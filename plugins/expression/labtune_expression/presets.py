"""Named settings; the numbers were chosen on validation data, see ``benchmarks/quality/sequences.py``."""

from __future__ import annotations

from labtune.specs import Preset

_CONV = {
    "encoder": "expression.conv",
    "epochs": 12,
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

_FORWARD = {**_CONV, "weight_decay": 0.01, "encoder_options": {"strands": "forward"}}
_BINS = {"head": {"bins": 18}}
_ABOUT_CONV = "Compact convolutional network from scratch; minutes on a CPU."
_ABOUT_FORWARD = "As conv, reading one strand: for RNA, and where the direction decides."
_ABOUT_ROTARY = "Small rotary transformer from scratch."

VALUE_PRESETS = (
    Preset(name="conv", summary=_ABOUT_CONV, settings={**_CONV, **_BINS}),
    Preset(name="rotary", summary=_ABOUT_ROTARY, settings=_ROTARY),
    Preset(name="forward", summary=_ABOUT_FORWARD, settings={**_FORWARD, **_BINS}),
)
CLASS_PRESETS = (
    Preset(name="conv", summary=_ABOUT_CONV, settings=_CONV),
    Preset(name="rotary", summary=_ABOUT_ROTARY, settings=_ROTARY),
    Preset(name="forward", summary=_ABOUT_FORWARD, settings=_FORWARD),
)
