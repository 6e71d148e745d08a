"""What the core offers: names and targets only, nothing heavy."""

from __future__ import annotations

from labtune.hookspecs import hookimpl
from labtune.specs import Component


@hookimpl
def labtune_tokenizers() -> list[Component]:
    return [
        Component(
            name="text",
            target="labtune.builtin.tokenizers:TextTokenizer",
            summary="A text or a pair of texts, by the encoder's own subwords.",
        )
    ]


@hookimpl
def labtune_encoders() -> list[Component]:
    return [
        Component(
            name="minilm",
            target="labtune.encoder.minilm:locate",
            summary="all-MiniLM-L6-v2: six layers of width 384, from a package or the hub.",
        ),
        Component(
            name="tiny",
            target="labtune.encoder.tiny:build",
            summary="Two random layers, for tests.",
        ),
    ]


@hookimpl
def labtune_heads() -> list[Component]:
    return [
        Component(
            name="sequence",
            target="labtune.builtin.heads:SequenceHead",
            summary="One prediction a record.",
        ),
        Component(
            name="token",
            target="labtune.builtin.heads:TokenHead",
            summary="One prediction a unit.",
        ),
        Component(
            name="token_crf",
            target="labtune.builtin.chains:CrfTokenHead",
            summary="One prediction a unit, the best chain of labels by a linear-chain CRF.",
        ),
    ]


@hookimpl
def labtune_losses() -> list[Component]:
    return [
        Component(
            name="cross_entropy",
            target="labtune.builtin.losses:CrossEntropy",
            summary="Negative log-likelihood of one of several classes.",
        ),
        Component(
            name="focal",
            target="labtune.builtin.losses:Focal",
            summary="Cross-entropy that weighs easy examples less.",
        ),
        Component(
            name="binary_cross_entropy",
            target="labtune.builtin.losses:BinaryCrossEntropy",
            summary="One yes or no for each of several labels.",
        ),
        Component(
            name="mse",
            target="labtune.builtin.losses:MeanSquaredError",
            summary="Squared error of numbers.",
        ),
        Component(
            name="huber",
            target="labtune.builtin.losses:Huber",
            summary="Squared error near zero, absolute error for outliers.",
        ),
        Component(
            name="crf",
            target="labtune.builtin.chains:CrfLoss",
            summary="Negative log-likelihood of a whole chain of labels.",
        ),
    ]


@hookimpl
def labtune_metrics() -> list[Component]:
    return [
        Component(
            name="classification",
            target="labtune.builtin.metrics:Classification",
            summary="Accuracy, balanced accuracy, F1 and their kin, over records.",
        ),
        Component(
            name="token_classification",
            target="labtune.builtin.metrics:TokenClassification",
            summary="Accuracy and F1 over units.",
        ),
        Component(
            name="multilabel",
            target="labtune.builtin.metrics:MultiLabel",
            summary="Scores of label sets.",
        ),
        Component(
            name="regression",
            target="labtune.builtin.metrics:Regression",
            summary="Correlations and errors of numbers.",
        ),
    ]
