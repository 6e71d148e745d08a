"""What labtune-protein offers: names and targets only, nothing heavy."""

from __future__ import annotations

from labtune import hookimpl
from labtune.specs import Component, Task
from labtune_protein.tasks import TASKS


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
            summary="ESM-2's architecture with 7.3 million parameters, pre-trained by this project.",
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
        Component(
            name="protein.states",
            target="labtune_protein.kernels.heads:StatesHead",
            summary="Sequences of any length: a kernel regression on the states of a frozen encoder.",
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
    return list(TASKS)
