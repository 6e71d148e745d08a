from itertools import chain, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from labtune.errors import DataError, SettingsError
from labtune.specs import Labels, Record, Span
from labtune_ner.reading import read
from labtune_ner.words import WordTokenizer, split_words, words_of

# Words of which BERT's normaliser leaves nothing: a control character, a variation selector, a zero-width joiner.
WITHOUT_SUBWORDS = ("\x07", "\ufe0f", "\u200d")


@pytest.fixture
def tokenizer(vocabulary, labels):
    return WordTokenizer(vocabulary, labels)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Anna's U.S. visit, at 10:30.", ["Anna", "'s", "U.S.", "visit", ",", "at", "10:30", "."]),
        ("EUR 1,250.50 (net)", ["EUR", "1,250.50", "(", "net", ")"]),
        ("李开复ok东京タワー", [*"李开复", "ok", *"东京タワー"]),
        ("हिन्दी नमस्ते", ["हिन्दी", "नमस्ते"]),
        ("IL-2 p53 β-actin", ["IL", "-", "2", "p53", "β", "-", "actin"]),
        ("don't", ["don", "'", "t"]),
        (" \u00a0\n", []),
    ],
)
def test_splitting(text, words):
    assert [text[start:end] for start, end in split_words(text)] == words


@given(st.text())
def test_splitting_loses_nothing_but_blanks(text):
    spans = split_words(text)
    inside = {position for start, end in spans for position in range(start, end)}
    assert all(text[position].isspace() for position in range(len(text)) if position not in inside)
    assert all(left[1] <= right[0] and left[0] < left[1] for left, right in pairwise(spans))


def test_offsets_of_a_list_of_words_lie_in_the_joined_text():
    words = words_of(Record("1", ["New", "York", "won"]))
    assert words.text == "New York won"
    assert words.text[slice(*words.between(0, 2))] == "New York"


def test_each_word_is_represented_by_its_first_subword(tokenizer, vocabulary):
    words = ["Unbelievably", "good", "tyrosinosis", ",", "Reykjavik"]
    batch = tokenizer([Record("1", words), Record("2", "good Reykjavik")])
    pieces = [vocabulary.tokenize(word) for word in words]
    assert vocabulary.convert_ids_to_tokens(batch.tokens[0]) == ["[CLS]", *chain(*pieces), "[SEP]"]
    starts = np.cumsum([1, *map(len, pieces)])[:-1]
    assert batch.units[0].tolist() == starts.tolist()
    assert vocabulary.convert_ids_to_tokens(batch.tokens.values[batch.unit_index]) == [
        *(piece[0] for piece in pieces),
        *(pieces[index][0] for index in (1, 4)),
    ]
    assert (batch.prefix, batch.suffix) == (1, 1)


@pytest.mark.parametrize("odd", WITHOUT_SUBWORDS)
def test_a_word_without_subwords_keeps_its_unit(tokenizer, vocabulary, odd):
    assert vocabulary.tokenize(odd) == []
    records = [
        Record("1", [odd, "Anna", odd, odd, "ran"], [Span(1, 2, "PER")]),
        Record("2", [odd], []),
        Record("3", ["Anna"], [Span(0, 1, "PER")]),
    ]
    batch = tokenizer(records)
    assert batch.units.lengths.tolist() == [5, 1, 1]
    tokens = vocabulary.convert_ids_to_tokens(batch.tokens.values[batch.unit_index])
    assert tokens == ["[UNK]", "anna", "[UNK]", "[UNK]", "ran", "[UNK]", "anna"]
    assert batch.targets.values.tolist() == [0, 1, 0, 0, 0, 0, 1]


@given(text=st.text(max_size=30))
def test_there_is_a_unit_for_every_word_of_any_text(vocabulary, text):
    tokenizer = WordTokenizer(vocabulary, Labels(kind="spans", names=("PER",)))
    batch = (
        tokenizer([Record("1", text), Record("2", text.split(" "))])
        if "" not in text.split(" ")
        else tokenizer([Record("1", text)])
    )
    assert batch.units.lengths[0] == len(split_words(text))
    assert batch.units.lengths.tolist()[1:] in ([], [len(text.split(" "))])


def test_nothing_is_cut_and_empty_records_stay(tokenizer):
    batch = tokenizer([Record("1", ["word"] * 2000), Record("2", ""), Record("3", [])])
    assert batch.tokens.lengths.tolist() == [2002, 2, 2]
    assert batch.units.lengths.tolist() == [2000, 0, 0]


def test_targets_are_tags_or_absent(tokenizer):
    labelled = Record("1", ["Anna", "Lee", "likes", "Rome"], [Span(0, 2, "PER"), Span(3, 4, "LOC")])
    assert tokenizer([labelled]).targets[0].tolist() == [1, 2, 0, 5]
    assert tokenizer([labelled, Record("2", "text")]).targets is None


def test_a_bad_target_names_its_record(tokenizer):
    with pytest.raises(DataError, match=r"f.txt:3: record '7'.*'GENE' is not among"):
        tokenizer([Record("7", ["p53"], [Span(0, 1, "GENE")], source="f.txt:3")])


def test_byte_level_vocabularies_see_the_blank_before_each_word(labels):
    """Without it every word but the first of a line would be read as the inside of a longer one."""
    pieces = {"[UNK]": 0, "Ġ": 1, "a": 2, "b": 3, "Ġa": 4, "Ġb": 5}
    backend = Tokenizer(models.BPE(vocab=pieces, merges=[("Ġ", "a"), ("Ġ", "b")], unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    vocabulary = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")
    tokenizer = WordTokenizer(vocabulary, labels)
    assert tokenizer([Record("1", ["a", "b", "ab"])]).tokens.values.tolist() == [4, 5, 4, 3]
    assert (tokenizer.prefix, tokenizer.suffix) == (0, 0)


def test_an_encoder_without_a_vocabulary_is_refused(labels):
    with pytest.raises(SettingsError, match="vocabulary"):
        WordTokenizer(None, labels)


def test_real_sentences_as_one_by_one(data_folder, tokenizer, vocabulary):
    records = list(read(data_folder / "conll2003_en/test.txt", labelled=True))[:300]
    batch = tokenizer(records)
    for record, ids, units in zip(records, batch.tokens, batch.units, strict=True):
        alone = vocabulary(record.input, is_split_into_words=True, truncation=False)
        assert ids.tolist() == alone["input_ids"]
        assert units.tolist() == [alone.word_to_tokens(word).start for word in range(len(record.input))]
    assert batch.targets.values.dtype == torch.long
