"""What labtune-expression offers: names and targets only, nothing heavy."""

from __future__ import annotations

from typing import Any

from labtune import hookimpl
from labtune.specs import Component, Labels, Preset, Task
from labtune_expression.cells.presets import CELL_PRESETS, SAMPLE_PRESETS
from labtune_expression.presets import CLASS_PRESETS, VALUE_PRESETS


@hookimpl
def labtune_tokenizers() -> list[Component]:
    return [
        Component(
            name="expression.nucleotides",
            target="labtune_expression.tokenizers:NucleotideTokenizer",
            summary="One token a letter, IUPAC letters included.",
        ),
        Component(
            name="expression.kmers",
            target="labtune_expression.tokenizers:KmerTokenizer",
            summary="Every k letters one token.",
        ),
        Component(
            name="expression.subwords",
            target="labtune_expression.tokenizers:SubwordTokenizer",
            summary="The vocabulary of a pre-trained nucleotide model.",
        ),
        Component(
            name="expression.genes",
            target="labtune_expression.cells.tokenizer:GeneTokenizer",
            summary="Normalised expression of the genes that vary most in the training data.",
        ),
        Component(
            name="expression.ranks",
            target="labtune_expression.cells.tokens:RankTokenizer",
            summary="The genes that stand out in a cell, in order.",
        ),
        Component(
            name="expression.bins",
            target="labtune_expression.cells.tokens:BinTokenizer",
            summary="The most expressed genes of a cell, with their binned values.",
        ),
    ]


@hookimpl
def labtune_encoders() -> list[Component]:
    return [
        Component(
            name="expression.conv",
            target="labtune_expression.conv:ConvEncoder",
            summary="Compact residual convolutional network on both strands, from scratch.",
        ),
        Component(
            name="expression.rotary",
            target="labtune_expression.rotary:RotaryEncoder",
            summary="Small transformer with rotary positions, from scratch.",
        ),
        Component(
            name="expression.normalised",
            target="labtune_expression.cells.encoder:FeatureEncoder",
            summary="Compact network on the normalised expression of genes, from scratch.",
        ),
        Component(
            name="expression.set",
            target="labtune_expression.cells.transformer:SetEncoder",
            summary="Small transformer over the set of genes of a cell, from scratch or pre-trained.",
        ),
    ]


@hookimpl
def labtune_heads() -> list[Component]:
    return [
        Component(
            name="expression.values",
            target="labtune_expression.head:ValueHead",
            summary="Numbers on a transformed scale, optionally with their uncertainty.",
        )
    ]


@hookimpl
def labtune_losses() -> list[Component]:
    return [
        Component(
            name="expression.mse",
            target="labtune_expression.losses:SquaredError",
            summary="Squared error on the transformed scale.",
        ),
        Component(
            name="expression.huber",
            target="labtune_expression.losses:HuberError",
            summary="Huber's error on the transformed scale.",
        ),
        Component(
            name="expression.gaussian",
            target="labtune_expression.losses:Gaussian",
            summary="Likelihood of a normal distribution with predicted variance.",
        ),
        Component(
            name="expression.bins",
            target="labtune_expression.losses:SoftBins",
            summary="Cross-entropy over levels, for a head with bins.",
        ),
        Component(
            name="expression.poisson",
            target="labtune_expression.losses:Poisson",
            summary="Likelihood of counts.",
        ),
    ]


@hookimpl
def labtune_tasks() -> list[Task]:
    return [
        Task(
            name="expression.promoter",
            summary="One or several numbers for a DNA or RNA sequence, such as the expression a promoter drives.",
            reader="labtune_expression.reading:read",
            tokenizer="expression.nucleotides",
            head="expression.values",
            loss="expression.mse",
            metrics=("regression",),
            labels=Labels(kind="values"),
            presets=VALUE_PRESETS,
            examples="labtune_expression.data:promoter_examples",
            sample="labtune_expression.data:promoters",
            baseline="labtune_expression.baselines:fit_kmer_model",
        ),
        Task(
            name="expression.sequence_class",
            summary="One class for a DNA or RNA sequence.",
            reader="labtune_expression.reading:read",
            tokenizer="expression.nucleotides",
            head="sequence",
            loss="cross_entropy",
            metrics=("classification",),
            labels=Labels(kind="classes"),
            presets=CLASS_PRESETS,
            examples="labtune_expression.data:class_examples",
            sample="labtune_expression.data:promoters",
            options={"reader": {"target": "class"}},
            baseline="labtune_expression.baselines:fit_kmer_model",
        ),
        _profiles(
            name="expression.cell_type",
            summary="The type of a cell, from its counts or log-normalised expression.",
            presets=CELL_PRESETS,
            reader={},
        ),
        _profiles(
            name="expression.sample_class",
            summary="The class of a sample, from any numbers of many genes or probes.",
            presets=SAMPLE_PRESETS,
            reader={"state": "any"},
        ),
    ]


def _profiles(name: str, summary: str, presets: tuple[Preset, ...], reader: dict[str, Any]) -> Task:
    return Task(
        name=name,
        summary=summary,
        reader="labtune_expression.cells.reading:read",
        tokenizer="expression.genes",
        head="sequence",
        loss="cross_entropy",
        metrics=("classification",),
        labels=Labels(kind="classes"),
        presets=presets,
        examples="labtune_expression.cells.data:examples",
        sample="labtune_expression.cells.data:sample",
        options={"reader": reader},
        baseline="labtune_expression.cells.baseline:fit_linear",
        views=("labtune.evaluation.views:default_views", "labtune_expression.cells.views:cell_views"),
        writers={".h5ad": "labtune_expression.cells.annotation:write"},
    )
