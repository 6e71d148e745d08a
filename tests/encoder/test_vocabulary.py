"""Characters that a vocabulary lacks: which are added, that they are told apart then, and that files keep them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertTokenizerFast

from labtune.catalog import load_catalog
from labtune.encoder.hub import HubEncoder
from labtune.encoder.loading import load_encoder
from labtune.encoder.vocabulary import learn_characters, missing_characters
from labtune.parts import build_parts, load_parts, save_parts
from labtune.protocols import Batch
from labtune.settings import resolve_settings
from labtune.specs import Labels, Record

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b", "of", "."]
CYRILLIC = ["a жb of", "ж b.", "ab of щ"]


@pytest.fixture
def folder(saved: Callable[[str], Path], tmp_path: Path) -> Path:
    """A BERT of random weights with a vocabulary of few pieces."""
    model = AutoModel.from_pretrained(saved("bert"))
    model.resize_token_embeddings(len(PIECES))
    model.save_pretrained(tmp_path / "model")
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES), encoding="utf-8")
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_only_characters_that_repeat_are_missing(folder: Path) -> None:
    vocabulary = AutoTokenizer.from_pretrained(folder)
    assert missing_characters(vocabulary, CYRILLIC) == ["ж"]  # щ occurs once
    assert missing_characters(vocabulary, ["ab of.", "of"]) == []  # "o" alone is unknown, yet "of" must not fall apart
    assert missing_characters(vocabulary, []) == []


def test_a_vocabulary_that_lacks_almost_nothing_stays(folder: Path) -> None:
    vocabulary = AutoTokenizer.from_pretrained(folder)
    assert missing_characters(vocabulary, ["a" * 197 + "фф"]) == ["ф"]
    assert missing_characters(vocabulary, ["a" * 199 + "ф"]) == []


def test_what_was_one_unknown_token_is_told_apart(folder: Path) -> None:
    encoder = load_encoder(str(folder), load_catalog())
    assert isinstance(encoder, HubEncoder)
    before = encoder.model.get_input_embeddings().weight.detach().clone()
    assert encoder.tokenizer.tokenize("жф ab") == ["[UNK]", "a", "##b"]
    assert learn_characters(encoder, ["жф", "фж"]) == ["ж", "ф"]
    assert encoder.tokenizer.tokenize("жф ab") == ["ж", "ф", "a", "##b"]
    table = encoder.model.get_input_embeddings().weight
    assert torch.equal(table[: len(before)], before)
    assert table.requires_grad
    assert not torch.equal(table[-1], table[-2])


@pytest.mark.parametrize(
    ("method", "grows"), [("full", True), ("lora", False), ("head", False), ("bitfit", False), ("prompt", False)]
)
def test_only_where_embeddings_learn(folder: Path, method: str, grows: bool) -> None:
    assert (vocabulary_of(folder, {"method": method}) > len(PIECES)) is grows


def test_it_can_be_left_alone(folder: Path) -> None:
    assert vocabulary_of(folder, {"encoder_options": {"new_characters": False}}) == len(PIECES)


def test_a_saved_run_reads_what_it_learned(folder: Path, tmp_path: Path, demo: None) -> None:
    catalog = load_catalog()
    settings = resolve_settings(catalog, "demo.words", {"encoder": str(folder), "loss": {}})
    train = [Record(str(number), text, "no") for number, text in enumerate(CYRILLIC)]
    parts = build_parts(settings, catalog, Labels(kind="classes", names=("no", "yes")), train)
    parts.model.eval()
    save_parts(parts, settings, tmp_path / "saved")
    again = load_parts(settings, catalog, tmp_path / "saved")
    new = [Record("x", "жa of ф", None)]
    batches: list[Batch] = [part.tokenizer(new) for part in (parts, again)]
    assert batches[0].tokens.values.tolist() == batches[1].tokens.values.tolist()
    assert len(PIECES) in batches[0].tokens.values
    logits = [part.model(batch).logits.values for part, batch in zip((parts, again), batches, strict=True)]
    assert torch.equal(*logits)
    plain = AutoModel.from_pretrained(tmp_path / "saved" / "encoder")
    assert len(plain.get_input_embeddings().weight) == len(PIECES) + 1


def vocabulary_of(folder: Path, flags: dict[str, object]) -> int:
    """Tokens that the encoder knows after a run's parts were built."""
    catalog = load_catalog()
    if "finance.sentiment" not in catalog.tasks:
        pytest.skip("labtune-finance is not installed")
    settings = resolve_settings(catalog, "finance.sentiment", {"encoder": str(folder), **flags})
    train = [Record(str(number), text, "neutral") for number, text in enumerate(CYRILLIC)]
    parts = build_parts(settings, catalog, Labels(kind="classes", names=("negative", "neutral", "positive")), train)
    return len(parts.model.encoder.tokenizer)
