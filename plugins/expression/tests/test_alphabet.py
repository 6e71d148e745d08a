"""Letters: case, U, IUPAC, and what is refused."""

import numpy as np
import pytest
from Bio.Data.IUPACData import ambiguous_dna_complement, ambiguous_dna_values
from Bio.Seq import Seq

from labtune.errors import DataError
from labtune_expression.alphabet import BASES, LETTERS, encode, normalise, reverse_complement, shares


def test_case_and_uracil_do_not_matter():
    assert np.array_equal(encode("acgun", "here"), encode("ACGTN", "here"))
    assert normalise(" acgUry ", "here") == "ACGTRY"


def test_shares_of_ambiguous_letters_agree_with_biopython():
    table = shares()
    for row, letter in enumerate(LETTERS):
        members = ambiguous_dna_values[letter]
        expected = [(base in members) / len(members) for base in BASES]
        assert table[row].tolist() == pytest.approx(expected)


def test_reverse_complement_agrees_with_biopython():
    assert set(LETTERS) == set(ambiguous_dna_complement) - {"X"}
    assert reverse_complement(LETTERS) == str(Seq(LETTERS).reverse_complement())


@pytest.mark.parametrize(
    ("sequence", "message"),
    [("AC-GT", "file:3: '-' at position 3"), ("ACGé", r"at position 4"), ("  ", "empty"), (7, "a int, not a text")],
)
def test_what_is_no_nucleotide_is_named(sequence, message):
    with pytest.raises(DataError, match=message):
        encode(sequence, "file:3")
