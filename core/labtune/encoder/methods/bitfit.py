"""Train the biases alone, about a thousandth of the weights (BitFit, Ben Zaken et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass

from labtune.encoder.base import Encoder
from labtune.encoder.methods.base import Method
from labtune.errors import SettingsError


@dataclass(frozen=True)
class BitFit(Method):
    """Every bias of the encoder learns, those of norms included."""

    name = "bitfit"

    def freeze(self, encoder: Encoder) -> None:
        """Leave only parameters called ``bias`` to learn; raises SettingsError when there are none."""
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_(name.rpartition(".")[2] == "bias")
        if not any(parameter.requires_grad for parameter in encoder.parameters()):
            raise SettingsError(
                "method 'bitfit' trains biases, and this encoder has none: choose method 'ia3' or 'lora'"
            )
