"""What labtune-ner offers: names and targets only, nothing heavy."""

from __future__ import annotations

from labtune import hookimpl
from labtune.specs import Component, Labels, Preset, Task

NEWS = ("PER", "ORG", "LOC", "MISC")


@hookimpl
def labtune_tokenizers() -> list[Component]:
    return [
        Component(
            name="ner.words",
            target="labtune_ner.words:WordTokenizer",
            summary="Lists of words, or texts split into words; the first subword stands for its word.",
        )
    ]


@hookimpl
def labtune_heads() -> list[Component]:
    return [
        Component(
            name="ner.tags",
            target="labtune_ner.head:EntityHead",
            summary="Entities by the best legal sequence of tags, with exact probabilities; optionally a CRF.",
        )
    ]


@hookimpl
def labtune_metrics() -> list[Component]:
    return [
        Component(
            name="ner.entities",
            target="labtune_ner.metrics:EntityScores",
            summary="Precision, recall and F1 of whole entities, as seqeval counts them.",
        )
    ]


@hookimpl
def labtune_tasks() -> list[Task]:
    return [
        _task("ner.conll2003", "People, organisations, places and other names in news.", NEWS, epochs=5),
        # Data of one's own are mostly fewer, so that an epoch has fewer steps.
        _task("ner.spans", "Entities of any types: the types are those of the training data.", (), epochs=10),
    ]


def _task(name: str, summary: str, types: tuple[str, ...], *, epochs: int) -> Task:
    small = {"encoder": "minilm", "epochs": epochs, "batch_size": 32}
    chained = {**small, "head": {"crf": True}}
    return Task(
        name=name,
        summary=summary,
        reader="labtune_ner.reading:read",
        tokenizer="ner.words",
        head="ner.tags",
        loss="cross_entropy",
        metrics=("ner.entities",),
        labels=Labels(kind="spans", names=types),
        presets=(
            Preset(name="small", summary="MiniLM, all weights; minutes on a CPU.", settings=small),
            Preset(name="crf", summary="As small, with learned scores of neighbouring tags.", settings=chained),
        ),
        examples="labtune_ner.data:examples",
        sample="labtune_ner.data:sample",
        baseline="labtune_ner.gazetteer:fit",
        slices={"length": "labtune_ner.data:length_slice"},
        views=("labtune_ner.views:entity_view", "labtune_ner.views:tag_view", "labtune_ner.views:error_view"),
    )
