"""What labtune-finance offers: names and targets only, nothing heavy."""

from __future__ import annotations

from labtune import hookimpl
from labtune.specs import Labels, Preset, Task

SENTIMENTS = ("negative", "neutral", "positive")


@hookimpl
def labtune_tasks() -> list[Task]:
    """Offer the one task."""
    return [
        Task(
            name="finance.sentiment",
            summary="Is a financial sentence good, bad or no news for an investor?",
            reader="labtune_finance.phrasebank:read",
            tokenizer="text",
            head="sequence",
            loss="cross_entropy",
            metrics=("classification",),
            labels=Labels(kind="classes", names=SENTIMENTS),
            presets=(
                Preset(
                    name="small",
                    summary="MiniLM, all weights; minutes on a CPU.",
                    settings={
                        "encoder": "minilm",
                        "epochs": 5,
                        "batch_size": 32,
                        "learning_rate": 1e-4,
                    },
                ),
            ),
            options={"loss": {"class_weights": "balanced"}},
            examples="labtune_finance.data:examples",
            sample="labtune_finance.data:sample",
            baseline="labtune_finance.baseline:fit",
            slices={
                "length": "labtune_finance.data:length_slice",
                "figures": "labtune_finance.data:figures_slice",
            },
        )
    ]
