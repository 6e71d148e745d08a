"""Every way in which files hold proteins, and what is said of a wrong one."""

from __future__ import annotations

import gzip
import logging

import pytest

from labtune.errors import DataError, SettingsError
from labtune_protein.reading import read_residues, read_secondary_structure, read_sequences
from labtune_protein.states import read_states


def write(folder, **files):
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_flip_files_beside_each_other(tmp_path):
    write(
        tmp_path,
        a__sequences__fasta=">one x\nMKTA\nY\n>two\nAC\n",
        a__labels_dssp3__fasta=">two SET=train\nEC\n>one SET=test VALIDATION=False\nCHHHE\n",
        a__mask__fasta=">one\n01111\n>two\n10\n",
    )
    one, two = read_secondary_structure(tmp_path / "a.sequences.fasta", labelled=True)
    assert (one.id, one.input, one.target) == ("one", "MKTAY", [None, "H", "H", "H", "E"])
    assert one.columns == {"set": "test", "validation": "False"}
    assert two.target == ["E", None]
    assert one.source.endswith("a.sequences.fasta:1")


def test_without_labels_they_are_not_asked_for(tmp_path):
    write(tmp_path, a__sequences__fasta=">one\nMK\n")
    (record,) = read_residues(tmp_path / "a.sequences.fasta", labelled=False)
    assert record.target is None


def test_biotrainer_headers(tmp_path):
    write(tmp_path, b__fasta=">one TARGET=HHEE SET=val MASK=1101\nMKTA\n")
    (record,) = read_secondary_structure(tmp_path / "b.fasta", labelled=True)
    assert (record.target, record.columns) == (["H", "H", None, "E"], {"set": "val"})


def test_tables_of_residues(tmp_path):
    write(
        tmp_path,
        letters__csv="id,sequence,target,mask\na,MKT,HEC,110\n",
        numbers__jsonl='{"id": "a", "sequence": "MKT", "target": [0.5, null, 2]}\n',
    )
    (letters,) = read_residues(tmp_path / "letters.csv", labelled=True)
    assert (letters.target, letters.columns) == (["H", "E", None], {})
    (numbers,) = read_residues(tmp_path / "numbers.jsonl", labelled=True)
    assert numbers.target == [0.5, None, 2]


def test_labels_follow_their_residues_when_gaps_go(tmp_path, caplog):
    write(tmp_path, c__fasta=">one TARGET=HH-EE\nmk-ta\n")
    with caplog.at_level(logging.WARNING):
        (record,) = read_residues(tmp_path / "c.fasta", labelled=True)
    assert (record.input, record.target) == ("MKTA", ["H", "H", "E", "E"])
    assert "1 gaps, blanks and stops are left out" in caplog.text


def test_headers_with_a_target_of_the_sequence(tmp_path):
    with gzip.open(tmp_path / "d.fasta.gz", "wt") as file:
        file.write(">q9h400 Cell.membrane-M test\nMGL\n>p1 TARGET=2.5 SET=train\nACD\n")
    first = next(read_sequences(tmp_path / "d.fasta.gz", labelled=True, header=r"(.+)-[MSU]"))
    assert (first.target, first.input) == ("Cell.membrane", "MGL")
    with pytest.raises(DataError, match=r"d\.fasta\.gz:1: no target in the header of 'q9h400'"):
        list(read_sequences(tmp_path / "d.fasta.gz", labelled=True))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a__fasta": ">one TARGET=HHE\nMKTA\n"}, r"a\.fasta:1: record 'one' has 4 residues but 3 labels"),
        ({"a__fasta": ">one TARGET=HHEE MASK=11\nMKTA\n"}, "4 residues but 2 mask characters"),
        ({"a__fasta": ">one\nMKTA\n"}, "no labels for 'one'"),
        ({"a__fasta": "MKTA\n"}, r"a\.fasta:1: text before the first '>'"),
        ({"a__fasta": ">one\n>two\nMK\n"}, r"a\.fasta:1: entry 'one' is empty"),
        ({"a__fasta": ">\nMK\n"}, "the header has no id"),
        ({"a__fasta": ">one TARGET=HH\nM1\n"}, "'one' has '1' at position 2"),
        ({"a__sequences__fasta": ">one\nMK\n"}, "no file a.labels"),
        (
            {"a__sequences__fasta": ">one\nMK\n", "a__labels3__fasta": ">one\nHH\n", "a__labels8__fasta": ">one\nHH\n"},
            "choose one with the reader option labels",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, files, words):
    write(tmp_path, **files)
    path = next(tmp_path / name.replace("__", ".") for name in files)
    with pytest.raises(DataError, match=words):
        list(read_residues(path, labelled=True))


def test_states():
    assert read_states("HGIEBTS-X C", 3) == ["H", "H", "H", "E", "E", "C", "C", "C", None, "C", "C"]
    assert read_states("HGIEBTS-", 8) == ["H", "G", "I", "E", "B", "T", "S", "C"]
    with pytest.raises(ValueError, match="'q' at position 2"):
        read_states("Hq", 3)
    with pytest.raises(SettingsError, match="it is 3 or 8"):
        read_states("H", 4)


def test_real_files(bio):
    valid = list(read_secondary_structure(bio / "flip_secondary_structure" / "val.sequences.fasta", labelled=True))
    assert len(valid) == 1080
    assert all(len(record.input) == len(record.target) for record in valid)
    assert {state for record in valid for state in record.target} == {"H", "E", "C", None}
    locations = read_sequences(bio / "deeploc" / "deeploc_our_val_set.fasta", labelled=True, header=r"(.+)-[MSU]")
    assert len({record.target for record in locations}) == 11  # ten places, and one pair of them
