"""Shapes of words: which there are, where they go in, and that they say what an uncased vocabulary cannot."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModel, BertConfig, BertTokenizerFast, DistilBertConfig

from labtune.catalog import load_catalog
from labtune.encoder.loading import load_encoder
from labtune.parts import build_parts, load_parts, save_parts
from labtune.settings import resolve_settings
from labtune.specs import Labels, Record
from labtune_ner.shapes import shape_of

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b", "."]
RECORDS = [Record("1", ["ab", "Ab", "AB", "aB", "A", "."], []), Record("2", [], []), Record("3", ["Ba", "b"], [])]
LABELS = Labels(kind="spans", names=("X",))


SIZES = {"vocab_size": len(PIECES), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


def write(folder, config, *, ignores_case):
    """An encoder of random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        AutoModel.from_config(config).save_pretrained(folder)
    pieces = PIECES if ignores_case else [*PIECES, "A", "B"]
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=ignores_case).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path):
    """A small BERT whose vocabulary ignores case."""
    return write(tmp_path, BertConfig(**SIZES, intermediate_size=32), ignores_case=True)


def parts_of(folder, **flags):
    catalog = load_catalog()
    chosen = {"encoder": str(folder), "data": {"train": "none"}, "dropout": 0.0, **flags}
    settings = resolve_settings(catalog, "ner.spans", chosen)
    return build_parts(settings, catalog, LABELS, RECORDS), settings


@pytest.mark.parametrize(
    ("word", "shape"),
    [("", 0), ("of", 0), ("3.5", 0), ("東京", 0), ("Paris", 1), ("'Tis", 1), ("Élan", 1), ("NATO", 2), ("U.S.", 2),
     ("B-52", 4), ("A", 4), ("a", 0), ("McDonald", 3), ("iPhone", 3)],
)  # fmt: skip
def test_shapes_by_hand(word, shape):
    assert shape_of(word) == shape


def test_every_subword_has_the_segment_of_its_word(folder):
    parts, _ = parts_of(folder)
    batch = parts.tokenizer(RECORDS)
    segments = batch.inputs["token_type_ids"]
    assert parts.tokenizer.first_kind == 2  # BERT has two segments
    assert [row.tolist() for row in segments] == [[0, 0, 0, 2, 2, 3, 3, 4, 4, 5, 0, 0], [0, 0], [0, 2, 2, 0, 0]]
    assert segments.offsets.equal(batch.inputs["input_ids"].offsets)


def test_new_segments_change_nothing_before_they_learn(folder):
    encoder = load_encoder(str(folder), load_catalog(), dropout=0.0).eval()
    parts, _ = parts_of(folder)
    batch = parts.tokenizer(RECORDS)
    with torch.no_grad():
        before = encoder({"input_ids": batch.inputs["input_ids"]}).values
        after = parts.model.encoder.eval()(batch.inputs).values
    assert torch.equal(before, after)


def test_words_of_other_case_are_told_apart_after_a_step_and_after_reading_back(folder, tmp_path):
    parts, settings = parts_of(folder)
    table = parts.model.encoder.embeddings.token_type_embeddings
    with torch.no_grad():
        table.weight[2:] += torch.randn(table.weight[2:].shape, generator=torch.Generator().manual_seed(0))
    parts.model.eval()
    states = [parts.model.encode(parts.tokenizer([Record("1", [word, "a"], [])])).values for word in ("ab", "Ab")]
    assert not torch.allclose(*states)
    save_parts(parts, settings, tmp_path / "run")
    again = load_parts(settings, load_catalog(), tmp_path / "run")
    assert again.tokenizer.first_kind == 2
    assert torch.equal(again.model.encode(again.tokenizer([Record("1", ["Ab", "a"], [])])).values, states[1])


@pytest.mark.parametrize("flags", [{"method": "lora"}, {"method": "head"}, {"encoder_options": {"word_shapes": False}}])
def test_nothing_goes_in_where_it_cannot_be_learned_or_is_not_wanted(folder, flags):
    parts, _ = parts_of(folder, **flags)
    assert "token_type_ids" not in parts.tokenizer(RECORDS).inputs
    assert parts.model.encoder.model.config.type_vocab_size == 2


def test_a_vocabulary_that_heeds_case_needs_no_shapes(tmp_path):
    config = BertConfig(**{**SIZES, "vocab_size": len(PIECES) + 2}, intermediate_size=32)
    parts, _ = parts_of(write(tmp_path, config, ignores_case=False))
    assert parts.tokenizer.kinds == 0
    assert "token_type_ids" not in parts.tokenizer(RECORDS).inputs


def test_an_encoder_without_segments_gets_none(tmp_path):
    config = DistilBertConfig(vocab_size=len(PIECES), dim=16, n_layers=1, n_heads=2, hidden_dim=32)
    parts, _ = parts_of(write(tmp_path, config, ignores_case=True))
    assert parts.tokenizer.kinds == 4
    assert parts.tokenizer.first_kind is None
