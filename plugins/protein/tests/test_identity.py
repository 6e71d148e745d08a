"""Homologues: planted ones are all found, and unrelated sequences are not taken for them."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace

import pytest

from labtune.data.splitting import split_records
from labtune.errors import DataError
from labtune.specs import Record
from labtune_protein.identity import bands, candidates, identity, rare_word_pairs, similarity, word_pairs

MMSEQS = shutil.which("mmseqs")
LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def mutated(sequence, share, rng):
    """Replace a share of the letters, and move the rest by one insertion."""
    letters = list(sequence)
    for position in rng.sample(range(len(letters)), round(share * len(letters))):
        letters[position] = rng.choice([letter for letter in LETTERS if letter != letters[position]])
    middle = len(letters) // 2
    return "".join([*letters[:middle], rng.choice(LETTERS), *letters[middle:]])


def planted(kept, families=30, seed=0):
    rng = random.Random(seed)
    founders = ["".join(rng.choices(LETTERS, k=rng.randint(80, 400))) for _ in range(families)]
    return [
        Record(f"{number}-{copy}", founder if copy == 0 else mutated(founder, 1 - kept, rng), source="planted")
        for number, founder in enumerate(founders)
        for copy in range(2)
    ]


def test_identity_by_hand():
    assert identity("ACDEFGHIKL", "ACDEFGHIKL") == 1
    assert identity("MKTAYIAKQRQISFVKSHFSRQ", "MKTAYIAKQRAISFVKSHFSRQ") == pytest.approx(21 / 22)
    assert identity("MKTAYIAKQRQISFVKSHFSRQ", "MKTAYIAKQRQ") == 1  # of the shorter one


@pytest.fixture(autouse=True)
def built_in(monkeypatch):
    """Search without MMseqs2, which starts slowly; one test puts it back."""
    monkeypatch.setattr("labtune_protein.identity.shutil.which", lambda name: None)


@pytest.mark.parametrize("kept", [0.9, 0.6, 0.45])
def test_planted_homologues_are_found(kept):
    records = planted(kept)
    found = set(similarity(records, 0.3))
    assert found == {(2 * number, 2 * number + 1) for number in range(len(records) // 2)}


@pytest.mark.parametrize(("kept", "recall"), [(0.9, 1.0), (0.6, 0.95)])
def test_among_many_rare_words_find_planted_homologues(kept, recall, monkeypatch):
    monkeypatch.setattr("labtune_protein.identity.MANY", 10)
    records = planted(kept, families=200)
    pairs = {(2 * number, 2 * number + 1) for number in range(200)}
    found = set(similarity(records, 0.5))
    assert found <= pairs
    assert len(found) >= recall * len(pairs)
    asked = set(rare_word_pairs([record.input for record in records]))
    assert len(asked - pairs) <= 2  # hardly anything is aligned in vain


def test_very_long_sequences_are_aligned_only_when_they_share_rare_words():
    rng = random.Random(3)
    founder = "".join(rng.choices(LETTERS + 4 * "AEGKLS", k=3000))
    shuffled = ["".join(rng.sample(founder, len(founder))) for _ in range(3)]
    sequences = [founder, mutated(founder, 0.4, rng), *shuffled, *(record.input for record in planted(0.9, 10))]
    long = {find: {pair for pair in find(sequences) if max(pair) < 5} for find in (word_pairs, candidates)}
    assert long[word_pairs] == {(0, 1)}
    assert len(long[candidates]) > 1  # any two have most words of three letters in common


def fragments(kept):
    """Every second record is a third of a homologue of the one before it."""
    records = planted(kept)
    parts = [replace(record, input=record.input[: len(record.input) // 3]) for record in records[1::2]]
    return [record for pair in zip(records[::2], parts, strict=True) for record in pair]


def test_planted_fragments_are_found():
    records = fragments(0.7)
    assert set(similarity(records, 0.3)) == {(2 * number, 2 * number + 1) for number in range(len(records) // 2)}


@pytest.mark.skipif(MMSEQS is None, reason="mmseqs is not installed (Debian's package mmseqs2)")
@pytest.mark.parametrize(("kept", "threshold"), [(0.45, 0.3), (0.6, 0.5)])
def test_mmseqs_finds_planted_homologues_and_fragments(monkeypatch, kept, threshold):
    monkeypatch.setattr("labtune_protein.identity.shutil.which", lambda name: MMSEQS)
    records = [*planted(kept), *fragments(0.7)]
    alike = {tuple(sorted(pair)) for pair in similarity(records, threshold)}
    assert {(2 * number, 2 * number + 1) for number in range(len(records) // 2)} <= alike
    founder = [record.id.split("-")[0] for record in records]
    assert all(founder[one] == founder[other] for one, other in alike)


def test_a_search_that_fails_is_told(tmp_path, monkeypatch):
    program = tmp_path / "mmseqs"
    program.write_text("#!/bin/sh\necho no memory >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr("labtune_protein.identity.shutil.which", lambda name: str(program))
    with pytest.raises(DataError, match=r"mmseqs failed.*no memory"):
        similarity(planted(0.9, families=2), 0.3)


def test_bands_to_the_nearest_training_sequence():
    records = {kept: planted(kept, families=12) for kept in (0.98, 0.7, 0.4)}
    for kept, name in ((0.98, "95 % or more"), (0.7, "50 to 95 %"), (0.4, "30 to 50 %")):
        band = bands.fit(records[kept][::2])
        assert {band(record) for record in records[kept][1::2]} == {name}
    band = bands.fit(planted(0.5, families=12, seed=1)[::2])
    assert {band(record) for record in records[0.7]} == {"below 30 %"}


def test_split_by_identity_parts_no_family():
    records = planted(0.6, families=40)
    parts = split_records(records, "identity:0.3", (0.7, 0.15, 0.15), similarity=similarity)
    families = [{record.id.split("-")[0] for record in part} for part in parts.values()]
    assert sum(map(len, families)) == len(set.union(*families))
