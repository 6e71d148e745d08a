"""DoRA's layer computes what peft's does, and costs less."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from labtune.encoder.bits import STORED, Linear4

peft_lora = pytest.importorskip("peft.tuners.lora")
from labtune.encoder.methods.dora_layer import DoraLinear  # noqa: E402  # needs peft

WIDTH, OUT, ROWS = 64, 128, 50


def layer(kind: Any, bits: int, bias: bool = True) -> Any:
    """Wrap the same linear layer, with the same adapter, by peft's layer or ours."""
    torch.manual_seed(0)
    linear = nn.Linear(WIDTH, OUT, bias=bias).requires_grad_(False)
    base = linear if bits == 32 else STORED[bits](linear)
    config = peft_lora.LoraConfig(r=4, lora_alpha=12, use_dora=True)
    wrapped = kind(base, "default", config=config, r=4, lora_alpha=12)
    with torch.no_grad():
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return wrapped


def forward_and_back(module: Any) -> list[Tensor]:
    x = torch.linspace(-2, 2, ROWS * WIDTH).view(5, 10, WIDTH).sin().requires_grad_()
    y = module(x)
    (y * torch.linspace(0, 1, OUT)).square().sum().backward()
    assert x.grad is not None
    return [y.detach(), x.grad, *(parameter.grad for parameter in module.parameters() if parameter.requires_grad)]


@pytest.mark.parametrize("bits", [32, 16, 8, 4])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_peft(bits: int, bias: bool) -> None:
    ours, theirs = (forward_and_back(layer(kind, bits, bias)) for kind in (DoraLinear, peft_lora.Linear))
    assert len(ours) == 2 + 3  # the update's two matrices, and the magnitudes
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mixed", [False, True])
def test_a_weight_is_unpacked_once_forward_and_once_back(monkeypatch: pytest.MonkeyPatch, mixed: bool) -> None:
    module, unpacked, plain = layer(DoraLinear, 4), [], Linear4.unpack

    def count(self: Linear4, dtype: torch.dtype) -> Tensor:
        unpacked.append(dtype)
        return plain(self, dtype)

    monkeypatch.setattr(Linear4, "unpack", count)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        y = module(torch.randn(ROWS, WIDTH, requires_grad=True))
    assert len(unpacked) == 1
    y.sum().backward()
    assert len(unpacked) == 2


def test_one_activation_of_the_outputs_size_waits_for_the_backward_pass() -> None:
    module, kept = layer(DoraLinear, 4), []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(torch.randn(ROWS, WIDTH, requires_grad=True))
    assert kept.count(torch.Size([ROWS, OUT])) == 1
    assert torch.Size([OUT, WIDTH]) not in kept


@pytest.mark.parametrize("bits", [32, 4])
def test_mixed_precision_keeps_the_magnitudes_in_float32(bits: int) -> None:
    module = layer(DoraLinear, bits)
    x = torch.randn(ROWS, WIDTH)
    whole = module(x).detach()
    with torch.autocast("cpu", torch.bfloat16):
        found = module(x)
    assert found.dtype == torch.bfloat16
    assert float((found.detach().float() - whole).norm() / whole.norm()) < 0.01


def test_dropout_is_on_the_input_of_the_update_alone() -> None:
    module = layer(DoraLinear, 32)
    module.lora_dropout["default"] = nn.Dropout(0.999999)  # so that nothing of the update is left
    x = torch.randn(ROWS, WIDTH)
    updated = module.base_layer.weight + module.get_delta_weight("default")
    factor = module.lora_magnitude_vector["default"].weight / updated.norm(dim=1)
    expected = nn.functional.linear(x, module.base_layer.weight) * factor + module.base_layer.bias
    torch.testing.assert_close(module.train()(x), expected, atol=1e-5, rtol=1e-5)
