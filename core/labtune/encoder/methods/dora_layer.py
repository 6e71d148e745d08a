"""DoRA's layer with less work and memory than peft's; how it starts, is merged and is saved stays peft's.

With the low-rank update ``U = scaling · B A`` and the learned magnitudes ``m`` (DoRA, Liu et al. 2024, equation 5):

    y = m / ‖W + U‖ · (W x + U x) + bias

peft computes the same as a sum of three terms. Then two activations wait for the backward pass instead of one, and a
weight in few bits is unpacked again for its norm.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor

from labtune.encoder.bits import keep_last_weight, product

ADAPTER = "default"  # peft's name for the only one there is


class DoraLinear(Linear):  # type: ignore[misc]  # peft is untyped
    """A linear layer with one DoRA adapter, which is always on. Dropout is on the input of the update, as in LoRA."""

    def forward(self, x: Tensor, *_: Any, **__: Any) -> Tensor:
        """Apply the layer: ``(..., in)`` to ``(..., out)``."""
        base = self.get_base_layer()
        down, up = self.lora_A[ADAPTER], self.lora_B[ADAPTER]
        with keep_last_weight():
            plain = product(base, x)  # (..., out)
            norm = self._norm(base.weight, down.weight, up.weight)
        update = up(down(self.lora_dropout[ADAPTER](x)))
        changed = torch.add(plain, update, alpha=self.scaling[ADAPTER])
        scaled = changed * (self.lora_magnitude_vector[ADAPTER].weight / norm)  # in float32, whatever the product is in
        found: Tensor = scaled if base.bias is None else scaled + base.bias
        return found.to(plain.dtype)

    @torch.no_grad()
    def _norm(self, weight: Tensor, down: Tensor, up: Tensor) -> Tensor:
        """Norm of each row of the updated weight, ``(out,)``; the paper's section 4.3 lets no gradient through."""
        with torch.autocast(weight.device.type, enabled=False):
            updated = torch.addmm(weight, up, down, alpha=self.scaling[ADAPTER])  # (out, in)
            norm: Tensor = torch.linalg.vector_norm(updated, dim=1)
        return norm
