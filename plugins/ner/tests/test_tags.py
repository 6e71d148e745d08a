from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, Entities

from labtune.specs import Span
from labtune_ner.tags import (
    count_repairs,
    decode,
    detect_scheme,
    encode,
    legal_starts,
    legal_transitions,
    parse_tag,
    spans_of,
    tag_names,
)

TYPES = ("PER", "LOC", "A-B")
any_tags = st.lists(st.sampled_from(["O"] + [f"{letter}-{name}" for letter in "BIES" for name in TYPES]), max_size=12)
iob2_tags = st.lists(st.integers(0, 6), max_size=12).map(lambda ids: [tag_names(TYPES)[i] for i in ids])


def parsed(tags):
    return [parse_tag(tag) for tag in (tags.split() if isinstance(tags, str) else tags)]


@given(any_tags)
def test_any_sequence_reads_as_in_seqevals_default_mode(tags):
    assert [(span.label, span.start, span.end - 1) for span in spans_of(parsed(tags))] == get_entities(tags)


@given(iob2_tags)
def test_sequences_without_repairs_read_as_in_seqevals_strict_mode(tags):
    spans = spans_of(parsed(tags))
    strict = [Span(e.start, e.end, e.tag) for e in Entities([tags], scheme=IOB2).entities[0]]
    if count_repairs(parsed(tags), "iob2") == 0:
        assert spans == strict
    else:
        assert spans != strict


@given(iob2_tags)
def test_encode_is_the_inverse_of_decode_and_always_legal(tags):
    spans = spans_of(parsed(tags))
    ids = encode(spans, len(tags), TYPES)
    assert decode(ids, TYPES) == spans
    assert not ids or legal_starts(TYPES)[ids[0]]
    assert all(legal_transitions(TYPES)[a, b] for a, b in pairwise(ids))


@pytest.mark.parametrize(
    ("tags", "scheme", "spans", "repairs"),
    [
        ("I-PER I-PER O I-LOC", "io", [(0, 2, "PER"), (3, 4, "LOC")], 0),
        ("I-PER B-PER I-PER O I-LOC", "iob1", [(0, 1, "PER"), (1, 3, "PER"), (4, 5, "LOC")], 0),
        ("B-PER B-PER I-PER O B-LOC", "iob2", [(0, 1, "PER"), (1, 3, "PER"), (4, 5, "LOC")], 0),
        ("B-PER O I-LOC I-LOC I-PER", "iob2", [(0, 1, "PER"), (2, 4, "LOC"), (4, 5, "PER")], 2),
        ("S-PER B-PER E-PER O S-LOC", "bioes", [(0, 1, "PER"), (1, 3, "PER"), (4, 5, "LOC")], 0),
        ("U-PER B-PER I-PER L-PER", "bioes", [(0, 1, "PER"), (1, 4, "PER")], 0),
        ("S-PER B-PER M-PER E-PER", "bioes", [(0, 1, "PER"), (1, 4, "PER")], 0),
        ("B-PER O E-LOC", "bioes", [(0, 1, "PER"), (2, 3, "LOC")], 2),
        ("O O", "io", [], 0),
    ],
)
def test_scheme_spans_and_repairs(tags, scheme, spans, repairs):
    assert detect_scheme([parsed(tags)]) == scheme
    assert spans_of(parsed(tags)) == spans
    assert count_repairs(parsed(tags), scheme) == repairs


@pytest.mark.parametrize(
    ("tag", "message"), [("PER", "not a tag"), ("X-PER", "not a tag"), ("B", "not a tag"), ("B-", "no type")]
)
def test_bad_tags_are_refused(tag, message):
    with pytest.raises(ValueError, match=message):
        parse_tag(tag)


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([Span(0, 1, "ORG")], "not among"),
        ([Span(2, 4, "PER")], "within the 3 words"),
        ([Span(1, 1, "PER")], "within"),
        ([Span(0, 2, "PER"), Span(1, 3, "LOC")], "overlap"),
    ],
)
def test_spans_that_cannot_be_tags_are_refused(spans, message):
    with pytest.raises(ValueError, match=message):
        encode(spans, 3, TYPES)
