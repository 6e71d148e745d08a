"""Every method at every bit width: what learns, what stays, what is saved, and what other libraries make of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModel

from labtune.catalog import load_catalog
from labtune.encoder.base import Encoder
from labtune.encoder.bits import Linear4, restore
from labtune.encoder.methods import METHODS, method_of
from labtune.encoder.methods.rates import learning_rates
from labtune.encoder.tuned import build_encoder, load_trained, save_trained
from labtune.errors import LabtuneError, RunError, SettingsError
from labtune.ragged import Ragged
from labtune.settings import METHODS as SETTING
from labtune.settings import Settings
from labtune.training.optimisation import build_optimizer

FAMILIES = ("bert", "esm", "modernbert")  # MiniLM is a BERT
LAYERS = 3
LINEARS = {"bert": 6, "esm": 6, "modernbert": 4}  # in a block, counted in the papers' figures
GRID = [
    ("full", 32, {}),
    ("full", 32, {"top_blocks": 1}),
    ("full", 16, {"top_blocks": 2}),
    ("bitfit", 32, {}),
    ("bitfit", 16, {}),
    *[(method, bits, {}) for method in ("lora", "dora", "ia3", "adapter", "prompt", "head") for bits in (32, 16, 8, 4)],
    ("adapter", 32, {"place": "pfeiffer"}),
]


def cases() -> Iterator[Any]:
    """The grid for every family; the middle bit widths are quick for one of them."""
    for family in FAMILIES:
        for method, bits, tuning in GRID:
            if family == "modernbert" and method == "bitfit":
                continue  # it has no biases
            quick = family == "bert" or bits in (32, 4)
            name = "-".join([family, method, str(bits), *map(str, tuning.values())])
            yield pytest.param(family, method, bits, tuning, id=name, marks=() if quick else pytest.mark.slow)


PEFT = ("lora", "dora", "ia3", "prompt")


@pytest.fixture(scope="module")
def settings_of(saved: Callable[[str], Path]) -> Callable[..., Settings]:
    def make(
        family: str, method: str, bits: int = 32, tuning: Mapping[str, Any] | None = None, **other: Any
    ) -> Settings:
        encoder = other.pop("encoder", str(saved(family)))
        return Settings(task="t", encoder=encoder, method=method, bits=bits, tuning=tuning or {}, dropout=0.0, **other)

    return make


def build(settings: Settings) -> Encoder:
    torch.manual_seed(0)
    return build_encoder(settings, load_catalog())


def tokens(seed: int = 0) -> Ragged:
    """Five records of unequal length; ids without the special ones."""
    generator = torch.Generator().manual_seed(seed)
    return Ragged.from_rows([torch.randint(33, 60, (length,), generator=generator) for length in (9, 3, 14, 1, 6)])


def hidden(encoder: Encoder) -> Tensor:
    encoder.eval()
    with torch.no_grad():
        return encoder({"input_ids": tokens()}).values


class Classifier(nn.Module):
    """Says which third of the vocabulary the token before is from, which takes attention."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.width, 3)

    def loss(self) -> Tensor:
        batch = tokens()
        previous = torch.cat([row.roll(1) for row in batch])
        return F.cross_entropy(self.head(self.encoder({"input_ids": batch}).values), previous % 3)


def train(encoder: Encoder, settings: Settings, steps: int = 30) -> list[float]:
    model = Classifier(encoder).train()
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = build_optimizer(learning, settings, learning_rates(encoder, learning, settings))
    losses = []
    for _ in range(steps):
        loss = model.loss()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def expected(family: str, method: str, tuning: Mapping[str, Any], names: list[str]) -> tuple[set[str], int | None]:
    """Names of the parameters that the method should train, and how many there must be."""
    parts = {
        "full": lambda name: True,
        "bitfit": lambda name: name.endswith(".bias"),
        "lora": lambda name: "lora_" in name,
        "dora": lambda name: "lora_" in name,
        "ia3": lambda name: "ia3_l" in name,
        "adapter": lambda name: ".down." in name or ".up." in name,
        "prompt": lambda name: name.endswith(".prompt"),
        "head": lambda name: False,
    }
    chosen = {name for name in names if parts[method](name)}
    if "top_blocks" in tuning:
        top = [
            f"layer.{n}." if family != "modernbert" else f"layers.{n}."
            for n in range(LAYERS - tuning["top_blocks"], LAYERS)
        ]
        after = ("emb_layer_norm_after", "final_norm")
        chosen = {name for name in names if any(part in name for part in (*top, *after))}
    linears = LINEARS[family] * LAYERS
    places = 1 if tuning.get("place") == "pfeiffer" else 2
    counts = {
        "lora": 2 * linears,
        "dora": 3 * linears,
        "ia3": linears,
        "adapter": 4 * places * LAYERS,
        "prompt": 1,
        "head": 0,
    }
    return chosen, counts.get(method)


@pytest.mark.parametrize(("family", "method", "bits", "tuning"), cases())
def test_learns_what_it_should_and_comes_back_the_same(
    settings_of: Callable[..., Settings], tmp_path: Path, family: str, method: str, bits: int, tuning: dict[str, Any]
) -> None:
    settings = settings_of(family, method, bits, tuning)
    encoder = build(settings)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}

    losses = train(encoder, settings)

    assert losses[-1] < losses[0]
    wanted, count = expected(family, method, tuning, [name for name, _ in encoder.named_parameters()])
    assert count is None or len(wanted) == count
    changed = {name for name, tensor in encoder.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed <= wanted
    # A bias of the keys moves every score of a query alike, so that it has no gradient unless positions turn it.
    assert {name for name in wanted - changed if not name.endswith("key.bias")} == set()

    save_trained(encoder, settings, tmp_path / "encoder")
    again = load_trained(settings, load_catalog(), tmp_path / "encoder")
    assert torch.equal(hidden(again), hidden(encoder))
    padded = settings_of(family, method, bits, tuning, encoder_options={"packed": False})
    apart = load_trained(padded, load_catalog(), tmp_path / "encoder")
    torch.testing.assert_close(hidden(apart), hidden(encoder), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"full", "bitfit", "prompt", "head"}))
@pytest.mark.parametrize("bits", [32, 4])
def test_a_fresh_method_leaves_the_function_alone(settings_of: Callable[..., Settings], method: str, bits: int) -> None:
    plain = hidden(build(settings_of("bert", "head", bits)))
    torch.testing.assert_close(hidden(build(settings_of("bert", method, bits))), plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", ["lora", "dora", "ia3"])
def test_building_unpacks_each_weight_once(
    settings_of: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """peft looks at weights again and again, and unpacking those of a large encoder takes minutes."""
    unpacked = []
    plain = Linear4.unpack

    def count(self: Linear4, dtype: torch.dtype) -> Tensor:
        unpacked.append(self)
        return plain(self, dtype)

    monkeypatch.setattr(Linear4, "unpack", count)
    build(settings_of("bert", method, 4))
    assert len(unpacked) == len(set(unpacked)) == LINEARS["bert"] * LAYERS


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "bits", [32, pytest.param(16, marks=pytest.mark.slow), pytest.param(8, marks=pytest.mark.slow), 4]
)
@pytest.mark.parametrize("method", ["lora", "dora", "ia3"])
def test_merging_changes_no_number(settings_of: Callable[..., Settings], family: str, method: str, bits: int) -> None:
    settings = settings_of(family, method, bits, learning_rate=1e-2)
    encoder = build(settings)
    train(encoder, settings, steps=5)
    trained = hidden(encoder)

    restore(encoder)
    method_of(settings).merge(encoder)

    assert set(encoder.state_dict()) == set(build(settings_of(family, "head")).state_dict())
    torch.testing.assert_close(hidden(encoder), trained, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", PEFT)
def test_opens_in_plain_peft(
    settings_of: Callable[..., Settings], saved: Callable[[str], Path], tmp_path: Path, family: str, method: str
) -> None:
    peft = pytest.importorskip("peft")
    settings = settings_of(family, method, learning_rate=1e-2)
    encoder = build(settings)
    train(encoder, settings, steps=5)
    save_trained(encoder, settings, tmp_path)

    base = AutoModel.from_pretrained(saved(family))
    plain = peft.PeftModel.from_pretrained(base, tmp_path).eval()

    assert plain.peft_config["default"].base_model_name_or_path == str(saved(family))
    adapted = [name for name, module in plain.named_modules() if hasattr(module, "base_layer")]
    assert not [name for name in adapted if "pooler" in name or "contact" in name]
    row = tokens()[2][None]
    with torch.no_grad():
        found = plain(input_ids=row, attention_mask=torch.ones_like(row)).last_hidden_state[0]
    ours = Ragged(hidden(encoder), tokens().offsets)[2]
    if method == "prompt":
        found = found[-len(ours) :]
    if (family, method) != ("esm", "prompt"):  # transformers' ESM scales embeddings of ids only, and peft gives vectors
        torch.testing.assert_close(found, ours, atol=1e-4, rtol=1e-4)


def test_virtual_tokens_count_against_the_limit(settings_of: Callable[..., Settings]) -> None:
    limit = build(settings_of("bert", "head")).limit
    encoder = build(settings_of("bert", "prompt", tuning={"tokens": 7}))
    assert limit is not None
    assert encoder.limit == limit - 7
    long = Ragged.from_rows([torch.full((encoder.limit,), 40)])
    assert len(encoder({"input_ids": long}).values) == encoder.limit


@pytest.mark.parametrize("bits", [32, 4])
def test_gradients_pass_checkpointed_blocks(settings_of: Callable[..., Settings], bits: int) -> None:
    gradients = []
    for checkpointing in (False, True):
        settings = settings_of("bert", "lora", bits, encoder_options={"gradient_checkpointing": checkpointing})
        model = Classifier(build(settings)).train()
        torch.manual_seed(1)
        nn.init.normal_(model.head.weight)
        model.loss().backward()
        gradients.append([p.grad for p in model.encoder.parameters() if p.requires_grad])
    for left, right in zip(*gradients, strict=True):
        torch.testing.assert_close(left, right)


@pytest.mark.parametrize("method", ["lora", "adapter", "head"])
def test_another_base_is_refused(
    settings_of: Callable[..., Settings], tmp_path: Path, saved: Callable[[str], Path], method: str
) -> None:
    settings = settings_of("bert", method)
    save_trained(build(settings), settings, tmp_path / "run")
    other = AutoModel.from_pretrained(saved("bert"))
    with torch.no_grad():
        other.embeddings.word_embeddings.weight[5, 3] += 1e-3
    other.save_pretrained(tmp_path / "other")

    with pytest.raises(RunError, match="other weights than those of encoder"):
        load_trained(settings_of("bert", method, encoder=str(tmp_path / "other")), load_catalog(), tmp_path / "run")


@pytest.mark.parametrize("method", ["lora", "adapter", "prompt"])
def test_a_damaged_folder_is_one_line(settings_of: Callable[..., Settings], tmp_path: Path, method: str) -> None:
    settings = settings_of("bert", method)
    save_trained(build(settings), settings, tmp_path)
    weights = next(tmp_path.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:40])
    with pytest.raises(RunError, match=weights.name):
        load_trained(settings, load_catalog(), tmp_path)
    weights.unlink()
    with pytest.raises(RunError, match=weights.name):
        load_trained(settings, load_catalog(), tmp_path)


@pytest.mark.parametrize(
    ("family", "method", "tuning", "message"),
    [
        ("bert", "lora", {"rnak": 4}, "Did you mean 'rank'"),
        ("bert", "lora", {"rank": 0}, "tuning.rank must be a whole number, 1 or more"),
        ("bert", "lora", {"dropout": 1.0}, "tuning.dropout must be"),
        ("bert", "full", {"top_blocks": 4}, "at most 3"),
        ("bert", "full", {"layer_decay": 0}, "above 0 and at most 1"),
        ("bert", "full", {"gradual": 1}, "true or false"),
        ("bert", "adapter", {"place": "middle"}, "houlsby or pfeiffer"),
        ("bert", "prompt", {"tokens": 400}, "below half the encoder's limit of 700"),
        ("bert", "head", {"rank": 4}, "It has none"),
        ("modernbert", "bitfit", {}, "this encoder has none"),
    ],
)
def test_bad_options_are_told(
    settings_of: Callable[..., Settings], family: str, method: str, tuning: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        build(settings_of(family, method, tuning=tuning))


class Bare(Encoder):
    """A network that names no blocks."""

    width = 4

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)


@pytest.mark.parametrize("method", ["lora", "dora", "ia3", "adapter", "prompt"])
def test_an_encoder_without_blocks_is_told(settings_of: Callable[..., Settings], method: str) -> None:
    with pytest.raises(SettingsError, match="choose method 'full' or 'head'"):
        method_of(settings_of("bert", method)).extend(Bare())


@pytest.mark.parametrize(
    ("method", "bits", "package", "extra"), [("lora", 32, "peft", "peft"), ("head", 4, "bitsandbytes", "quant")]
)
def test_a_missing_package_is_one_line(
    settings_of: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    bits: int,
    package: str,
    extra: str,
) -> None:
    from labtune.encoder import bits as room

    room._bitsandbytes.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(LabtuneError, match=rf"{package}, which is not installed: pip install 'labtune\[{extra}\]'"):
        build(settings_of("bert", method, bits))


def test_the_settings_list_every_method() -> None:
    assert tuple(METHODS) == SETTING


@pytest.fixture(autouse=True)
def _same_random_state() -> Iterator[None]:
    with torch.random.fork_rng():
        yield
