"""No network at all: the state of a residue is its letter. For tasks in which a head on letters does the work."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F

from labtune.encoder.base import Encoder
from labtune.ragged import Ragged
from labtune_protein.vocabulary import SYMBOLS, build


class Letters(Encoder):
    """One-hot tokens; nothing learns, nothing is limited, and a step costs next to nothing."""

    width = len(SYMBOLS)

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer = build()

    def forward(self, inputs: Mapping[str, Ragged]) -> Ragged:
        """Token numbers ``(N,)`` to states ``(N, C)`` of zeros and a one."""
        ids = inputs["input_ids"]
        return ids.with_values(F.one_hot(ids.values, self.width).float())
