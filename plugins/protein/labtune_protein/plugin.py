"""What labtune-protein offers: names and targets only, nothing heavy."""

from __future__ import annotations

from labtune import hookimpl
from labtune.specs import Component, Labels, Preset, Task


@hookimpl
def labtune_tokenizers() -> list[Component]:
    return [
        Component(
            name="protein.sequences",
            target="labtune_protein.tokenizing:SequenceTokenizer",
            summary="One token a residue; one target a sequence.",
        ),
        Component(
            name="protein.residues",
            target="labtune_protein.tokenizing:ResidueTokenizer",
            summary="One token and one target a residue.",
        ),
    ]


@hookimpl
def labtune_encoders() -> list[Component]:
    return [
        Component(
            name="protein.mini",
            target="labtune_protein.mini:locate",
            summary="A small protein encoder, pre-trained by this project.",
        )
    ]


@hookimpl
def labtune_tasks() -> list[Task]:
    return [
        Task(
            name="protein.property",
            summary="x",
            reader="labtune_protein.reading:read_sequences",
            tokenizer="protein.sequences",
            head="sequence",
            loss="mse",
            metrics=("regression",),
            labels=Labels(kind="values"),
            presets=(Preset(name="mini", settings={"encoder": "protein.mini"}),),
            examples="labtune_protein.data:examples",
        )
    ]
