"""The plugin's tasks, as descriptions. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Any

from labtune.specs import Labels, Task
from labtune_protein.presets import CONTACTS, SEQUENCES, VARIANTS, residue_presets

HOMOLOGUES: dict[str, Any] = {  # what every task has: splits, audits and scores by identity
    "similarity": "labtune_protein.identity:similarity",
    "slices": {"length": "labtune_protein.data:length_slice", "identity": "labtune_protein.identity:bands"},
}
RESIDUES: dict[str, Any] = {**HOMOLOGUES, "tokenizer": "protein.residues", "head": "token"}
CLASSES: dict[str, Any] = {
    **RESIDUES,
    "loss": "cross_entropy",
    "labels": Labels(kind="classes"),
    "presets": residue_presets(chained=True),
    "examples": "labtune_protein.data:state_examples",
    "sample": "labtune_protein.data:residue_sample",
    "baseline": "labtune_protein.baselines:fit_window",
    "views": ("labtune_protein.views:track_view", "labtune_protein.viewer.views:residue_scenes"),
}
SEQUENCE: dict[str, Any] = {
    **HOMOLOGUES,
    "reader": "labtune_protein.reading:read_sequences",
    "tokenizer": "protein.sequences",
    "head": "sequence",
}

TASKS = (
    Task(
        name="protein.secondary_structure",
        summary="Helix, strand or coil for every residue, or DSSP's eight states.",
        reader="labtune_protein.reading:read_secondary_structure",
        metrics=("protein.secondary_structure",),
        **CLASSES,
    ),
    Task(
        name="protein.residue",
        summary="Any class for every residue: binding, disorder, …",
        reader="labtune_protein.reading:read_residues",
        metrics=("token_classification",),
        **CLASSES,
    ),
    Task(
        name="protein.residue_value",
        summary="A number for every residue: accessibility, flexibility, …",
        reader="labtune_protein.reading:read_residues",
        loss="mse",
        metrics=("regression",),
        labels=Labels(kind="values", names=("value",)),
        presets=residue_presets(chained=False),
        examples="labtune_protein.data:hydropathy_examples",
        baseline="labtune_protein.baselines:fit_window_ridge",
        views=("labtune_protein.viewer.views:residue_scenes",),
        **RESIDUES,
    ),
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
        **SEQUENCE,
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
        **SEQUENCE,
    ),
    Task(
        name="protein.function",
        summary="Any number of labels for a sequence: functions, locations, …",
        loss="binary_cross_entropy",
        metrics=("multilabel",),
        labels=Labels(kind="multilabel"),
        presets=SEQUENCES,
        examples="labtune_protein.data:set_examples",
        baseline="labtune_protein.baselines:fit_dipeptide_sets",
        **SEQUENCE,
    ),
    Task(
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
        views=("labtune_protein.pairs.views:map_view", "labtune_protein.viewer.views:contact_scenes"),
        **HOMOLOGUES,
    ),
)
