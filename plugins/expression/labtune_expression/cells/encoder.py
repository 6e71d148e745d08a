"""A compact network on the features of a cell or sample."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from labtune.encoder.base import Encoder
from labtune.errors import SettingsError
from labtune.ragged import Ragged


class FeatureEncoder(Encoder):
    """Two layers; in training, genes are left out at random as they are in shallow sequencing.

    Parameters
    ----------
    genes
        G, features a record: the tokenizer's ``genes``.
    width
        C, of both layers.
    dropout
        Of features and hidden states; the setting ``dropout`` replaces it.
    """

    def __init__(self, *, genes: int = 3000, width: int = 256, dropout: float = 0.3) -> None:
        super().__init__()
        self.genes = genes
        self.width = width
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(genes, width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nn.GELU(),
        )

    def forward(self, inputs: Mapping[str, Ragged]) -> Ragged:
        """Hidden states ``(B, C)``, one a record, of features ``(B, G)``."""
        features = inputs["features"]
        given: Tensor = features.values
        if given.shape[1] != self.genes:
            raise SettingsError(
                f"the tokenizer gives {given.shape[1]} genes and the encoder takes {self.genes}: "
                f"set encoder_options.genes and tokenizer.genes to one number"
            )
        return features.with_values(self.layers(given))
