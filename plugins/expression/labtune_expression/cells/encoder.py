"""A compact network on the features of a cell or sample."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from labtune.encoder.base import Encoder
from labtune.errors import SettingsError
from labtune.protocols import Batch
from labtune.ragged import Ragged


class FeatureEncoder(Encoder):
    """Two layers on the principal components of the features, and beside them, if wanted, a linear map of the features.

    Components keep the noise of single genes out. They are learned from training data and stay as they are. The linear
    map, which starts at zero, finds single genes that tell; it pays where there are few samples. In training, features
    are hidden at random, because no gene is seen in every cell.

    Parameters
    ----------
    features
        F, what the tokenizer gives for a record: its ``genes``.
    components
        Of the features, at most; 0 gives the layers the features themselves.
    hidden_share
        Share of the features that each training record lacks.
    straight
        Factor of the linear map, and so of how fast it learns; 0 leaves it out.
    depth
        Factor of how many genes a record shows, which goes to the layers beside the components; 0 leaves it out.
    width
        C, of both layers.
    dropout
        Of hidden states; the setting ``dropout`` replaces it.
    """

    loadings: Tensor

    def __init__(
        self,
        *,
        features: int = 3000,
        components: int = 50,
        hidden_share: float = 0.3,
        straight: float = 0.0,
        depth: float = 0.0,
        width: int = 256,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        if not 0 <= hidden_share < 1:
            raise SettingsError(f"encoder_options.hidden_share is {hidden_share}; it is at least 0 and below 1")
        self.features = features
        self.hidden_share = hidden_share
        self.depth = depth
        self.width = width
        self.register_buffer("loadings", torch.zeros(features, components))
        self.layers = nn.Sequential(
            nn.Linear((components or features) + bool(depth), width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nn.GELU(),
        )
        self.share = straight
        self.straight = nn.Linear(features, width, bias=False) if straight else None
        if self.straight is not None:
            nn.init.zeros_(self.straight.weight)

    def fit(self, batch: Batch) -> None:
        """Learn the components of training features, unless the encoder has some already."""
        if not self.loadings.shape[1] or bool(self.loadings.any()):
            return
        from sklearn.decomposition import PCA

        rows = self._given(batch.inputs).double().cpu().numpy()  # (B, F)
        kept = min(self.loadings.shape[1], *rows.shape)
        scores = (pca := PCA(kept, svd_solver="randomized", random_state=0)).fit_transform(rows)
        spread = scores.std() or 1.0  # all scores together get deviation one
        self.loadings[:, :kept] = torch.from_numpy(pca.components_.T / spread)

    def forward(self, inputs: Mapping[str, Ragged]) -> Ragged:
        """Hidden states ``(B, C)``, one a record, of features ``(B, F)``."""
        given = nn.functional.dropout(self._given(inputs), self.hidden_share, self.training)
        seen = given @ self.loadings if self.loadings.shape[1] else given
        if self.depth:
            seen = torch.cat([seen, self.depth * inputs["depth"].values.to(seen)], dim=1)
        states = self.layers(seen)
        if self.straight is not None:
            states = states + self.share * self.straight(given)
        return inputs["features"].with_values(states)

    def _given(self, inputs: Mapping[str, Ragged]) -> Tensor:
        given: Tensor = inputs["features"].values
        if given.shape[1] != self.features:
            raise SettingsError(
                f"the tokenizer gives {given.shape[1]} features and the encoder takes {self.features}: "
                f"set encoder_options.features to tokenizer.genes"
            )
        return given
