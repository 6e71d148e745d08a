"""Exported runs: transformers and peft, alone, compute what labtune computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    EsmConfig,
    ModernBertConfig,
    PreTrainedConfig,
    RobertaConfig,
)

from labtune.builtin.heads import SequenceHead
from labtune.catalog import load_catalog
from labtune.cli import main
from labtune.deploy.export import export_run
from labtune.encoder.tiny import byte_tokenizer
from labtune.errors import LabtuneError
from labtune.folder import write_json
from labtune.model import Model
from labtune.parts import Parts, build_parts, load_parts, save_parts
from labtune.protocols import Batch
from labtune.ragged import Ragged
from labtune.settings import Settings
from labtune.specs import Labels, Record

SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
COMMON = {**SIZE, "vocab_size": 300, "max_position_embeddings": 100, "initializer_range": 0.1}
SPECIAL = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
CONFIGS: dict[str, PreTrainedConfig] = {
    "bert": BertConfig(**COMMON),
    "roberta": RobertaConfig(**COMMON, pad_token_id=1),
    "electra": ElectraConfig(**COMMON),
    "distilbert": DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=48, vocab_size=300),
    "esm": EsmConfig(**COMMON, pad_token_id=1, mask_token_id=4, token_dropout=True, position_embedding_type="rotary"),
    "modernbert": ModernBertConfig(**COMMON, **SPECIAL),
}
CLASSES = Labels(kind="classes", names=("low", "mid", "high"))
NUMBERS = Labels(kind="values", names=("a", "b"))
ANY = Labels(kind="multilabel", names=("a", "b"))
TOKEN: dict[str, Any] = {"name": "token"}
FIRST: dict[str, Any] = {"name": "sequence", "pooling": "first", "hidden_layer": True}
ONE_LAYER: dict[str, Any] = {"name": "sequence", "pooling": "first"}
TEXTS = ["profit rose", "a", "the cell divides"]
Finish = Callable[..., tuple[Path, list[Tensor]]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    folders: dict[str, str] = {}

    def folder_of(family: str) -> str:
        if family not in folders:
            folders[family] = str(tmp_path_factory.mktemp(family))
            torch.manual_seed(1)
            AutoModel.from_config(CONFIGS[family]).save_pretrained(folders[family])
            byte_tokenizer().save_pretrained(folders[family])
        return folders[family]

    return folder_of


@pytest.fixture
def finish(tmp_path: Path, base: Callable[[str], str], demo: None) -> Finish:
    """Leave a finished run in which all that learns was moved at random; give its folder and logits."""

    def make(family: str, head: dict[str, Any], method: str = "lora", bits: int = 32, labels: Labels = CLASSES) -> Any:
        settings = Settings(task="demo.words", encoder=base(family), method=method, bits=bits, head=head, loss={})
        parts = build_parts(settings, load_catalog(), labels)
        torch.manual_seed(2)
        with torch.no_grad():
            for parameter in parts.model.trainable().values():
                parameter.add_(torch.randn_like(parameter) * 0.05)
            for buffer in parts.model.head.buffers():
                buffer.add_(torch.rand_like(buffer))
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / "run.toml").write_text(settings.to_toml())
        save_parts(parts, settings, folder / "model")
        write_json(folder / "metrics.json", {})
        return folder, logits(parts.model, Path(base(family)))

    return make


def ids_of(folder: Path) -> list[Tensor]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return [torch.tensor(tokenizer(text)["input_ids"]) for text in TEXTS]


def logits(model: Model, folder: Path) -> list[Tensor]:
    ids = Ragged.from_rows(ids_of(folder))
    records = [Record(id=text, input=text) for text in TEXTS]
    units = ids.with_values(torch.cat([torch.arange(len(row)) for row in ids]))
    batch = Batch(records=records, inputs={"input_ids": ids}, units=units)
    with torch.no_grad():
        return list(model.eval()(batch).logits)


def plain_logits(kind: Any, folder: Path) -> list[Tensor]:
    model = kind.from_pretrained(folder, use_safetensors=True).eval()
    with torch.no_grad():
        return [model(input_ids=row[None]).logits[0] for row in ids_of(folder)]


def plain_logits_of_a_padded_batch(folder: Path) -> list[Tensor]:
    model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True).eval()
    batch = AutoTokenizer.from_pretrained(folder)(TEXTS, return_tensors="pt", padding=True)
    with torch.no_grad():
        return list(model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits)


def assert_same(found: list[Tensor], ours: list[Tensor], within: float = 1e-4) -> None:
    for left, right in zip(found, ours, strict=True):
        torch.testing.assert_close(left.view_as(right), right, atol=within, rtol=within)


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert", "esm", "modernbert"])
@pytest.mark.parametrize(("method", "bits"), [("full", 32), ("lora", 4), ("dora", 32), ("ia3", 8)])
def test_token_runs_open_in_transformers(finish: Finish, family: str, method: str, bits: int) -> None:
    run, ours = finish(family, TOKEN, method, bits)
    out = Path(export_run(run, "hf")["out"])
    assert_same(plain_logits(AutoModelForTokenClassification, out), ours)
    config = json.loads((out / "config.json").read_text())
    assert config["id2label"] == {"0": "low", "1": "mid", "2": "high"}
    assert not [key for key in config if key.startswith("_attn")]


@pytest.mark.parametrize(
    ("family", "head"),
    [
        *((family, FIRST) for family in ("bert", "roberta", "esm")),
        *((family, ONE_LAYER) for family in ("modernbert", "distilbert", "electra")),
    ],
)
@pytest.mark.parametrize(("method", "bits"), [("full", 32), ("lora", 16), ("head", 4)])
def test_sequence_runs_open_in_transformers(
    finish: Finish, family: str, head: dict[str, Any], method: str, bits: int
) -> None:
    run, ours = finish(family, head, method, bits)
    out = Path(export_run(run, "hf")["out"])
    assert_same(plain_logits(AutoModelForSequenceClassification, out), ours, within=4e-6)
    assert_same(plain_logits_of_a_padded_batch(out), ours, within=4e-6)


def test_outputs_beyond_half_the_width_have_no_place_between_rectifiers(finish: Finish) -> None:
    run, _ = finish("distilbert", ONE_LAYER, "head", labels=Labels(kind="classes", names=tuple("abcdefghijklmnopq")))
    with pytest.raises(LabtuneError, match="17 outputs are more than half the encoder's width of 32"):
        export_run(run, "hf")


@pytest.mark.parametrize(("family", "head"), [("bert", FIRST), ("electra", ONE_LAYER)])
@pytest.mark.parametrize(("labels", "problem"), [(NUMBERS, "regression"), (ANY, "multi_label_classification")])
def test_numbers_keep_their_scale_and_sets_their_kind(
    finish: Finish, family: str, head: dict[str, Any], labels: Labels, problem: str
) -> None:
    run, ours = finish(family, head, labels=labels)
    out = Path(export_run(run, "hf")["out"])
    assert_same(plain_logits(AutoModelForSequenceClassification, out), ours)
    assert json.loads((out / "config.json").read_text())["problem_type"] == problem


@pytest.mark.parametrize("method", ["lora", "prompt"])
def test_peft_opens_the_adapter_on_the_base(finish: Finish, base: Callable[[str], str], method: str) -> None:
    peft = pytest.importorskip("peft")
    run, ours = finish("bert", TOKEN, method)
    out = Path(export_run(run, "peft")["out"])
    described = json.loads((out / "adapter_config.json").read_text())
    assert described["base_model_name_or_path"] == base("bert")
    model = peft.PeftModel.from_pretrained(AutoModel.from_pretrained(base("bert")), out).eval()
    head = torch.nn.Linear(32, 3)
    from safetensors.torch import load_file

    head.load_state_dict({n.removeprefix("linear."): t for n, t in load_file(out / "head.safetensors").items()})
    with torch.no_grad():
        rows = ids_of(Path(base("bert")))
        found = [
            head(
                model(input_ids=row[None], attention_mask=torch.ones_like(row)[None]).last_hidden_state[0, -len(row) :]
            )
            for row in rows
        ]
    assert_same(found, ours)


@pytest.mark.parametrize(
    ("family", "head", "method", "form", "message"),
    [
        ("modernbert", FIRST, "head", "hf", "without a tanh layer: train with .* head.hidden_layer=false"),
        ("distilbert", {"name": "sequence"}, "head", "hf", "train with --set head.pooling=first"),
        ("bert", ONE_LAYER, "head", "hf", "with a tanh layer: train with .* head.hidden_layer=true"),
        ("bert", {"name": "sequence"}, "lora", "hf", "train with --set head.pooling=first"),
        ("bert", {"name": "token_crf"}, "lora", "hf", "learns more than one linear layer"),
        ("bert", TOKEN, "adapter", "hf", "bottleneck adapters cannot be merged"),
        ("bert", TOKEN, "prompt", "hf", "virtual tokens cannot be merged .* --format peft"),
        ("bert", TOKEN, "adapter", "peft", "method 'adapter' has no form in peft"),
    ],
)
def test_what_has_no_such_form_is_told(
    finish: Finish, family: str, head: dict[str, Any], method: str, form: str, message: str
) -> None:
    run, _ = finish(family, head, method)
    with pytest.raises(LabtuneError, match=message):
        export_run(run, form)
    assert sorted(path.name for path in run.iterdir()) == ["metrics.json", "model", "run.toml"]


def test_a_head_that_adds_something_to_a_linear_layer_is_not_exported_without_it(
    finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Corrected(SequenceHead):
        """Adds what its layers do not know."""

    def load_corrected(*arguments: Any) -> Parts:
        parts = load_parts(*arguments)
        parts.model.head.__class__ = Corrected
        return parts

    monkeypatch.setattr("labtune.deploy.export.load_parts", load_corrected)
    run, _ = finish("modernbert", ONE_LAYER)
    with pytest.raises(LabtuneError, match="the head 'sequence' has no counterpart among transformers' classifiers"):
        export_run(run, "hf")


def test_nothing_is_overwritten(finish: Finish, capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = finish("bert", TOKEN)
    assert main(["export", str(run), "--format", "peft", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] > 0
    assert main(["export", str(run), "--format", "peft"]) == 2
    assert "export-peft exists; choose another --out" in capsys.readouterr().err
