"""What labtune-protein offers: names and targets only, nothing heavy."""

from __future__ import annotations

from typing import Any

from labtune import hookimpl
from labtune.specs import Component, Labels, Preset, Task

MINI: dict[str, Any] = {
    "encoder": "protein.mini",
    "epochs": 10,
    "batch_size": 32,
    "batch_tokens": 8192,
    "learning_rate": 5e-4,
    "head_learning_rate": 2e-3,
}
FROZEN: dict[str, Any] = {**MINI, "method": "head"}
ESM2 = Preset(
    name="esm2",
    summary="ESM-2 of 8 million parameters from the hub, with LoRA.",
    settings={**MINI, "encoder": "facebook/esm2_t6_8M_UR50D", "method": "lora", "learning_rate": 1e-3},
)
LETTERS: dict[str, Any] = {**FROZEN, "encoder": "protein.letters"}
FULL = Preset(name="full", summary="The bundled encoder, all weights.", settings=MINI)
CONVOLUTION = {"name": "protein.convolution"}
RESIDUES = (
    Preset(
        name="mini",
        summary="Convolutions on letters and on the bundled encoder's states; minutes on a CPU.",
        settings={**FROZEN, "epochs": 6, "head": CONVOLUTION},
    ),
    Preset(
        name="full",
        summary="The same, and the encoder learns as well.",
        settings={**MINI, "epochs": 4, "head": CONVOLUTION},
    ),
    Preset(
        name="crf",
        summary="The bundled encoder, and the likeliest chain of states.",
        settings={**MINI, "head": {"name": "token_crf"}, "loss": {"name": "crf"}},
    ),
    ESM2,
)
SEQUENCES = (
    Preset(
        name="mini",
        summary="A kernel regression on composition, and the bundled encoder's states; minutes on a CPU.",
        settings={**FROZEN, "head": {"name": "protein.composition"}},
    ),
    Preset(
        name="letters",
        summary="A kernel regression on composition alone, without an encoder; seconds.",
        settings={**LETTERS, "epochs": 5, "head": {"name": "protein.composition"}},
    ),
    FULL,
    ESM2,
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
        "tokenizer": {"wild_type": "consensus"},
    },
)
CONTACTS = (
    Preset(
        name="mini",
        summary="The bundled encoder, all weights; minutes on a CPU.",
        settings={**MINI, "batch_tokens": 1024},
    ),
    Preset(
        name="frozen",
        summary="The bundled encoder as it is; only the head learns.",
        settings={**FROZEN, "batch_tokens": 1024},
    ),
    Preset(name="esm2", summary=ESM2.summary, settings={**ESM2.settings, "batch_tokens": 1024}),
)

SIMILARITY = "labtune_protein.identity:similarity"
SLICES = {"length": "labtune_protein.data:length_slice", "identity": "labtune_protein.identity:bands"}


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
        Component(
            name="protein.pairs",
            target="labtune_protein.pairs.tokenizing:PairTokenizer",
            summary="One token a residue; one target a pair of residues.",
        ),
    ]


@hookimpl
def labtune_encoders() -> list[Component]:
    return [
        Component(
            name="protein.mini",
            target="labtune_protein.mini:locate",
            summary="ESM-2's architecture with 3.6 million parameters, pre-trained by this project.",
        ),
        Component(
            name="protein.letters",
            target="labtune_protein.letters:Letters",
            summary="No network: a residue's state is its letter, and the head does the work.",
        ),
    ]


@hookimpl
def labtune_heads() -> list[Component]:
    return [
        Component(
            name="protein.pairs",
            target="labtune_protein.pairs.head:PairHead",
            summary="Pairs of residues: learned attention maps and dilated convolutions.",
        ),
        Component(
            name="protein.convolution",
            target="labtune_protein.convolution:ConvolutionHead",
            summary="One prediction a residue, from the letters and states around it.",
        ),
        Component(
            name="protein.sites",
            target="labtune_protein.sites:SitesHead",
            summary="One prediction for a variant, with weights for every position.",
        ),
        Component(
            name="protein.variants",
            target="labtune_protein.kernels.heads:VariantHead",
            summary="Variants: a kernel regression on substitutions, and weights for every position.",
        ),
        Component(
            name="protein.composition",
            target="labtune_protein.kernels.heads:KernelHead",
            summary="Sequences of any length: a kernel regression on composition, and pooled states.",
        ),
    ]


@hookimpl
def labtune_losses() -> list[Component]:
    return [
        Component(
            name="protein.pairs",
            target="labtune_protein.pairs.loss:PairCrossEntropy",
            summary="Cross-entropy over the distance bins of pairs.",
        )
    ]


@hookimpl
def labtune_metrics() -> list[Component]:
    return [
        Component(
            name="protein.contacts",
            target="labtune_protein.pairs.metrics:ContactPrecision",
            summary="Precision of the L, L/2 and L/5 likeliest contacts in three ranges.",
        ),
        Component(
            name="protein.secondary_structure",
            target="labtune_protein.metrics:SecondaryStructure",
            summary="Q3 or Q8, macro F1, and scores of each state.",
        ),
    ]


@hookimpl
def labtune_tasks() -> list[Task]:
    return [_secondary_structure(), *_residue_tasks(), *_sequence_tasks(), _contact()]


def _secondary_structure() -> Task:
    return Task(
        name="protein.secondary_structure",
        summary="Helix, strand or coil for every residue, or DSSP's eight states.",
        reader="labtune_protein.reading:read_secondary_structure",
        tokenizer="protein.residues",
        head="token",
        loss="cross_entropy",
        metrics=("protein.secondary_structure",),
        labels=Labels(kind="classes"),
        presets=RESIDUES,
        examples="labtune_protein.data:state_examples",
        sample="labtune_protein.data:residue_sample",
        baseline="labtune_protein.baselines:fit_window",
        similarity=SIMILARITY,
        slices=SLICES,
        views=("labtune_protein.views:track_view", "labtune_protein.viewer.views:residue_scenes"),
    )


def _residue_tasks() -> list[Task]:
    return [
        Task(
            name="protein.residue",
            summary="Any class for every residue: binding, disorder, …",
            reader="labtune_protein.reading:read_residues",
            tokenizer="protein.residues",
            head="token",
            loss="cross_entropy",
            metrics=("token_classification",),
            labels=Labels(kind="classes"),
            presets=RESIDUES,
            examples="labtune_protein.data:state_examples",
            sample="labtune_protein.data:residue_sample",
            baseline="labtune_protein.baselines:fit_window",
            similarity=SIMILARITY,
            slices=SLICES,
            views=("labtune_protein.views:track_view", "labtune_protein.viewer.views:residue_scenes"),
        ),
        Task(
            name="protein.residue_value",
            summary="A number for every residue: accessibility, flexibility, …",
            reader="labtune_protein.reading:read_residues",
            tokenizer="protein.residues",
            head="token",
            loss="mse",
            metrics=("regression",),
            labels=Labels(kind="values", names=("value",)),
            presets=tuple(preset for preset in RESIDUES if preset.name != "crf"),
            examples="labtune_protein.data:hydropathy_examples",
            similarity=SIMILARITY,
            slices=SLICES,
            views=("labtune_protein.viewer.views:residue_scenes",),
        ),
    ]


def _sequence_tasks() -> list[Task]:
    shared: dict[str, Any] = {
        "reader": "labtune_protein.reading:read_sequences",
        "tokenizer": "protein.sequences",
        "head": "sequence",
        "similarity": SIMILARITY,
        "slices": SLICES,
    }
    return [
        Task(
            name="protein.property",
            summary="A number for a sequence: fitness, melting temperature, …",
            loss="mse",
            metrics=("regression",),
            labels=Labels(kind="values"),
            presets=(*SEQUENCES, VARIANTS),
            options={"reader": {"target": "value"}},
            examples="labtune_protein.data:value_examples",
            sample="labtune_protein.data:sequence_sample",
            baseline="labtune_protein.baselines:fit_ridge",
            **shared,
        ),
        Task(
            name="protein.class",
            summary="One of several classes for a sequence: localisation, family, …",
            loss="cross_entropy",
            metrics=("classification",),
            labels=Labels(kind="classes"),
            presets=SEQUENCES,
            options={"reader": {"target": "class"}},
            examples="labtune_protein.data:class_examples",
            sample="labtune_protein.data:sequence_sample",
            baseline="labtune_protein.baselines:fit_dipeptides",
            **shared,
        ),
        Task(
            name="protein.function",
            summary="Any number of labels for a sequence: functions, locations, …",
            loss="binary_cross_entropy",
            metrics=("multilabel",),
            labels=Labels(kind="multilabel"),
            presets=SEQUENCES,
            examples="labtune_protein.data:set_examples",
            **shared,
        ),
    ]


def _contact() -> Task:
    return Task(
        name="protein.contact",
        summary="Which residues touch: a contact map, or bins of distance.",
        reader="labtune_protein.contacts:read_contacts",
        tokenizer="protein.pairs",
        head="protein.pairs",
        loss="protein.pairs",
        metrics=("protein.contacts",),
        labels=Labels(kind="spans"),
        presets=CONTACTS,
        examples="labtune_protein.data:contact_examples",
        sample="labtune_protein.data:contact_sample",
        baseline="labtune_protein.pairs.baselines:fit_frequencies",
        similarity=SIMILARITY,
        slices=SLICES,
        views=("labtune_protein.pairs.views:map_view", "labtune_protein.viewer.views:contact_scenes"),
    )
