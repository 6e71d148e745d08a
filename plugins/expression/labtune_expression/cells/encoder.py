"""A compact network on the features of a cell or sample."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from labtune.encoder.base import Encoder
from labtune.errors import SettingsError
from labtune.ragged import Ragged


class FeatureEncoder(Encoder):
    """Two layers.

    Parameters
    ----------
    features
        F, what the tokenizer gives for a record: its ``components``, else its ``genes``.
    width
        C, of both layers.
    dropout
        Of hidden states; the setting ``dropout`` replaces it.
    """

    def __init__(self, *, features: int = 50, width: int = 256, dropout: float = 0.3) -> None:
        super().__init__()
        self.features = features
        self.width = width
        self.layers = nn.Sequential(
            nn.Linear(features, width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nn.GELU(),
        )

    def forward(self, inputs: Mapping[str, Ragged]) -> Ragged:
        """Hidden states ``(B, C)``, one a record, of features ``(B, F)``."""
        features = inputs["features"]
        given: Tensor = features.values
        if given.shape[1] != self.features:
            raise SettingsError(
                f"the tokenizer gives {given.shape[1]} features and the encoder takes {self.features}: "
                f"set encoder_options.features to tokenizer.components, or to tokenizer.genes without components"
            )
        return features.with_values(self.layers(given))
