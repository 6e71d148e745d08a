"""Frozen weights in few bits: bfloat16, 8-bit integers, or 4-bit NormalFloat.

A stored layer keeps its weight packed and unpacks it for every product, forward and backward. The arithmetic is that
of the input, so packed and padded batches, training and prediction, and batches of any size see the same function,
which is also what :func:`restore` gives. Biases, norms and whatever learns stay in float32. Packing always happens on
the CPU, so that the stored numbers do not depend on the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labtune.device import give_back_memory
from labtune.encoder.base import Encoder
from labtune.encoder.extras import require
from labtune.encoder.structure import block_linears, network

BLOCK, DOUBLE_BLOCK = 64, 256  # weights that share a scale, and scales that share one: QLoRA's


class StoredLinear(nn.Linear):
    """A linear layer with a frozen, packed weight. ``weight`` unpacks it, which is how other libraries look at it.

    Parameters
    ----------
    linear
        The layer to store; its bias is taken over as it is.
    """

    parts: ClassVar[tuple[str, ...]]

    def __init__(self, linear: nn.Linear) -> None:
        nn.Module.__init__(self)  # no weight of nn.Linear's own is wanted
        self.in_features, self.out_features = linear.in_features, linear.out_features
        for name, tensor in zip(self.parts, self.pack(linear.weight.detach()), strict=True):
            # A parameter and no buffer: data-parallel training would send buffers around at every step.
            self.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
        self.register_parameter("bias", linear.bias)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]  # a parameter there, computed here
        """The unpacked weight in float32, ``(out, in)``."""
        return self.dense(torch.float32)

    def dense(self, dtype: torch.dtype) -> Tensor:
        """The unpacked weight, ``(out, in)``; within :func:`keep_last_weight` from the one that is kept."""
        kept = _KEPT.get()
        if kept is None:
            return self.unpack(dtype)
        if self not in kept:
            kept.clear()
            kept[self] = self.unpack(torch.float32)
        return kept[self].to(dtype)

    def pack(self, weight: Tensor) -> tuple[Tensor, ...]:
        """Tensors that hold a weight, as many as ``parts`` has names."""
        raise NotImplementedError

    def unpack(self, dtype: torch.dtype) -> Tensor:
        """Give the weight back, ``(out, in)``."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer: ``(..., in)`` to ``(..., out)``."""
        found = product(self, x)
        return found if self.bias is None else found + self.bias.to(found.dtype)


class Linear16(StoredLinear):
    """Weights rounded to bfloat16."""

    parts = ("rounded",)
    rounded: Tensor

    def pack(self, weight: Tensor) -> tuple[Tensor, ...]:
        """Round."""
        return (weight.to(torch.bfloat16),)

    def unpack(self, dtype: torch.dtype) -> Tensor:
        """Widen."""
        return self.rounded.to(dtype)


class Linear8(StoredLinear):
    """Weights as integers from -127 to 127, with one scale a row: the weights of LLM.int8 (Dettmers et al. 2022).

    Activations are not rounded: at an encoder's size that saves no time, and a row's result would come to depend on the
    outliers of other rows in the batch.
    """

    parts = ("codes", "scales")
    codes: Tensor
    scales: Tensor

    def pack(self, weight: Tensor) -> tuple[Tensor, ...]:
        """Scale each row by its largest absolute value, and round."""
        codes, scales, _ = _bitsandbytes().functional.int8_vectorwise_quant(weight.half())
        return codes, scales

    def unpack(self, dtype: torch.dtype) -> Tensor:
        """Codes times scales."""
        dense: Tensor = _bitsandbytes().functional.int8_vectorwise_dequant(self.codes, self.scales)
        return dense.to(dtype)


class Linear4(StoredLinear):
    """4-bit NormalFloat with double quantisation (QLoRA, Dettmers et al. 2023): 4.13 bits a weight."""

    parts = ("codes", "scales", "double_scales", "offset")
    codes: Tensor
    scales: Tensor
    double_scales: Tensor
    offset: Tensor

    def pack(self, weight: Tensor) -> tuple[Tensor, ...]:
        """Quantise blocks of weights, then the blocks' scales."""
        codes, state = _bitsandbytes().functional.quantize_4bit(
            weight, blocksize=BLOCK, compress_statistics=True, quant_type="nf4"
        )
        return codes, state.absmax, state.state2.absmax, state.offset

    def unpack(self, dtype: torch.dtype) -> Tensor:
        """Undo both steps."""
        functional: Any = _bitsandbytes().functional
        double = functional.QuantState(
            self.double_scales, blocksize=DOUBLE_BLOCK, code=_dynamic_map(self.codes.device), dtype=torch.float32
        )
        state = functional.QuantState(
            self.scales,
            shape=(self.out_features, self.in_features),
            blocksize=BLOCK,
            quant_type="nf4",
            dtype=dtype,
            offset=self.offset,
            state2=double,
        )
        dense: Tensor = functional.dequantize_4bit(self.codes, state)
        return dense


class Embedding16(nn.Embedding):
    """An embedding rounded to bfloat16; what it looks up is float32."""

    def forward(self, ids: Tensor) -> Tensor:
        """Look up ``(...)`` to ``(..., C)``."""
        return super().forward(ids).float()


# The weight that was looked at last, where it is kept.
_KEPT: ContextVar[dict[StoredLinear, Tensor] | None] = ContextVar("kept", default=None)

STORED: dict[int, type[StoredLinear]] = {16: Linear16, 8: Linear8, 4: Linear4}


@contextmanager
def keep_last_weight() -> Iterator[None]:
    """Within this, a weight that is looked at many times in a row is unpacked once; nothing may change it meanwhile.

    peft looks at the weight of every layer some twenty times while it builds an adapter, mostly to see its type. DoRA
    needs it for the product and for its norm.
    """
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def store(encoder: Encoder, bits: int) -> None:
    """Store the frozen weights of the encoder's blocks in few bits; with 16 its frozen embeddings too.

    Parameters
    ----------
    encoder
        On the CPU. Weights that learn are left alone.
    bits
        32 changes nothing.

    Raises
    ------
    SettingsError
        If bitsandbytes is missing, or the encoder names no blocks.
    """
    if bits == 32:
        return
    if bits < 16:
        _bitsandbytes(f"storage in {bits} bits")
    model = network(encoder)
    for linears in block_linears(encoder, f"storage in {bits} bits"):
        for name, layer in linears.items():
            if not layer.weight.requires_grad:
                model.set_submodule(name, STORED[bits](layer))
        give_back_memory()
    for name, module in list(model.named_modules()) if bits == 16 else ():
        if type(module) is nn.Embedding and not module.weight.requires_grad:
            model.set_submodule(name, _embedding(Embedding16, module, torch.bfloat16))
    _leave_file(encoder)


def restore(encoder: Encoder) -> None:
    """Unpack everything to float32: plain layers with the numbers that the stored ones stand for."""
    for name, module in list(encoder.named_modules()):
        if isinstance(module, StoredLinear):
            encoder.set_submodule(name, _plain(module))
        elif isinstance(module, Embedding16):
            encoder.set_submodule(name, _embedding(nn.Embedding, module, torch.float32))


def product(layer: nn.Linear, x: Tensor) -> Tensor:
    """Multiply by a layer's weight, packed or plain, without its bias: ``(..., in)`` to ``(..., out)``."""
    if not isinstance(layer, StoredLinear):
        return F.linear(x, layer.weight)
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    found: Tensor = _Product.apply(x, layer)  # type: ignore[no-untyped-call]  # as torch has it
    return found


def count_parameters(module: nn.Module) -> int:
    """Count parameters, those in few bits as the numbers that they stand for."""
    stored = {id(layer): layer for layer in module.modules() if isinstance(layer, StoredLinear)}
    packed = {id(getattr(layer, part)) for layer in stored.values() for part in layer.parts}
    plain = sum(parameter.numel() for parameter in module.parameters() if id(parameter) not in packed)
    return plain + sum(layer.in_features * layer.out_features for layer in stored.values())


def _leave_file(encoder: Encoder) -> None:
    """Copy what was not packed: as long as one tensor reads from the weights' file, all of it counts as memory."""
    for module in encoder.modules():
        packed = module.parts if isinstance(module, StoredLinear) else ()
        for name, parameter in module.named_parameters(recurse=False):
            if name not in packed:
                parameter.data = parameter.data.clone()
        # Rotary frequencies are a buffer and an attribute, both views of what was read.
        for name, value in [*module.named_buffers(recurse=False), *vars(module).items()]:
            if isinstance(value, Tensor):
                setattr(module, name, value.clone())


class _Product(torch.autograd.Function):
    """``x @ weight.T`` that keeps no unpacked weight for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: StoredLinear) -> Tensor:
        ctx.layer = layer
        return F.linear(x, layer.dense(x.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] @ ctx.layer.unpack(gradients[0].dtype), None


def _plain(stored: StoredLinear) -> nn.Linear:
    layer = nn.Linear(stored.in_features, stored.out_features, bias=False, device="meta")
    layer.weight = nn.Parameter(stored.weight, requires_grad=False)
    layer.bias = stored.bias
    return layer


def _embedding(kind: type[nn.Embedding], module: nn.Embedding, dtype: torch.dtype) -> nn.Embedding:
    embedding: nn.Embedding = kind.from_pretrained(module.weight.data.to(dtype), padding_idx=module.padding_idx)
    return embedding


@cache
def _bitsandbytes(purpose: str = "this model") -> Any:
    return require("bitsandbytes", "quant", purpose)


@cache
def _dynamic_map(device: torch.device) -> Tensor:
    """The 256 values of bitsandbytes' 8-bit numbers, ``(256,)``."""
    values: Tensor = _bitsandbytes().functional.create_dynamic_map()
    return values.to(device)
