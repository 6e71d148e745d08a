"""Coordinates: both formats alike, the rules of reading, and states against DSSP's."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from labtune.errors import DataError
from labtune_protein.contacts import find_contacts, read_contacts
from labtune_protein.reading import read_residues, read_secondary_structure, read_sequences
from labtune_protein.states import read_states
from labtune_protein.structure.chains import Chain, distances
from labtune_protein.structure.reading import read_chains
from labtune_protein.structure.states import assign

ATOM = (
    "{kind:6s}{serial:5d} {name:^4s}{alt:1s}{residue:3s} {chain:1s}{number:4d}{code:1s}   "
    "{x:8.3f}{y:8.3f}{z:8.3f}{occupancy:6.2f}  0.00           {element:1s}\n"
)


def atoms(
    number, residue, *, chain="A", code=" ", alt=" ", occupancy=1.0, shift=0.0, kind="ATOM", names=("N", "CA", "C", "O")
):
    return "".join(
        ATOM.format(
            kind=kind, serial=number * 10 + index, name=name, alt=alt, residue=residue, chain=chain, number=number,
            code=code,
            x=3.8 * number + index + shift, y=1.0 * index, z=0.0, occupancy=occupancy, element=name[0],
        )
        for index, name in enumerate(names)
    )  # fmt: skip


def read(tmp_path, text):
    path = tmp_path / "x.pdb"
    path.write_text(text + "END\n")
    return read_chains(path)


def test_rules_of_reading(tmp_path):
    text = (
        atoms(1, "MET")
        + atoms(2, "MSE", kind="HETATM")  # selenomethionine
        + atoms(5, "GLY")  # after a gap of two
        + atoms(5, "ALA", code="A")  # insertion
        + atoms(6, "SEP", kind="HETATM")
        + atoms(7, "UNK")
        + atoms(8, "HOH", kind="HETATM", names=("O",))
        + atoms(9, " CA", kind="HETATM", names=("CA",))  # calcium
    )
    (chain,) = read(tmp_path, text)
    assert (chain.id, chain.sequence) == ("A", "MMXXGASX")
    assert chain.resolved.tolist() == [True, True, False, False, True, True, True, True]


def test_the_position_that_is_occupied_most_is_taken(tmp_path):
    text = atoms(1, "GLY", alt="A", occupancy=0.3) + atoms(1, "GLY", alt="B", occupancy=0.7, shift=50) + atoms(2, "ALA")
    (chain,) = read(tmp_path, text)
    assert chain.sequence == "GA"
    assert chain.backbone[0, 0, 0] == pytest.approx(53.8)


def test_only_the_first_model_is_read(tmp_path):
    text = "MODEL        1\n" + atoms(1, "GLY") + "ENDMDL\nMODEL        2\n" + atoms(1, "GLY", shift=9) + "ENDMDL\n"
    (chain,) = read(tmp_path, text)
    assert chain.backbone[0, 0, 0] == pytest.approx(3.8)


def test_what_is_no_protein_is_refused(tmp_path):
    with pytest.raises(DataError, match="no protein chain"):
        read(tmp_path, atoms(1, "HOH", kind="HETATM", names=("O",)))
    (tmp_path / "y.cif").write_text("nothing\n")
    with pytest.raises(DataError, match="cannot be read as mmCIF"):
        read_chains(tmp_path / "y.cif")


def test_both_formats_give_the_same_chains(bio):
    folder = bio / "structures_mmcif"
    compared = 0
    for path in sorted(folder.glob("*.pdb")):
        old, new = read_chains(path), read_chains(path.with_suffix(".cif"))
        assert [(chain.id, chain.sequence) for chain in old] == [(chain.id, chain.sequence) for chain in new], path.name
        for one, other in zip(old, new, strict=True):
            assert np.allclose(one.backbone, other.backbone, atol=2e-3, equal_nan=True)
        compared += len(old)
    assert compared > 10


def test_beta_carbons_are_where_they_are(bio):
    """Ideal geometry against the positions in a crystal structure."""
    from Bio.PDB import MMCIFParser

    path = bio / "structures_mmcif" / "1aki.cif"
    (chain,) = read_chains(path)
    residues = [r for r in next(iter(MMCIFParser(QUIET=True).get_structure("x", path)))["A"] if r.id[0] == " "]
    apart = [np.linalg.norm(beta - r["CB"].coord) for beta, r in zip(chain.beta(), residues, strict=True) if "CB" in r]
    assert len(apart) > 100
    assert np.median(apart) < 0.2
    assert max(apart) < 0.5


def test_contacts_by_brute_force(bio):
    (chain,) = read_chains(bio / "structures_mmcif" / "1aki.cif")
    beta = chain.beta()
    expected = {
        (i, j)
        for i in range(len(beta))
        for j in range(i + 6, len(beta))
        if float(((beta[i] - beta[j]) ** 2).sum()) < 64
    }
    assert {(span.start, span.end) for span in find_contacts(chain, (8.0,))} == expected
    wide = find_contacts(chain, (8.0, 12.0))
    assert {(s.start, s.end) for s in wide if s.label == "contact"} == expected
    (record,) = read_contacts(bio / "structures_mmcif" / "1aki.cif", labelled=True)
    assert len(record.target) == len(expected)


def cgdms(path):
    """A chain of N, CA and C; O where an ideal peptide has it."""
    lines = path.read_text().splitlines()
    numbers = np.array([line.split() for line in lines[2:] if line.strip()], dtype=float).reshape(-1, 4, 3)
    backbone = np.full_like(numbers, np.nan)
    backbone[:, :3] = numbers[:, :3]
    sides = [backbone[:-1, 2] - backbone[:-1, 1], backbone[:-1, 2] - backbone[1:, 0]]
    direction = sum(side / np.linalg.norm(side, axis=-1, keepdims=True) for side in sides)
    backbone[:-1, 3] = backbone[:-1, 2] + 1.231 * direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    return Chain(path.stem, lines[0].strip(), backbone)


def test_states_agree_with_dssp(bio):
    """Chains that are in both data sets; the labels are of whole entries, so bonds to other chains are missing."""
    folder = bio / "flip_secondary_structure"
    labelled = {
        record.id: record
        for part in ("train", "val")
        for record in read_secondary_structure(folder / f"{part}.sequences.fasta", labelled=True)
    }
    right = total = chains = 0
    for path in sorted((bio / "structures_cgdms").glob("*.txt"))[:800]:
        record = labelled.get(f"{path.stem[:4].lower()}-{path.stem[5:]}")
        chain = cgdms(path)
        start = record.input.find(chain.sequence) if record else -1
        if start < 0:
            continue
        states = read_states(assign(chain), 3)
        pairs = [(a, b) for a, b in zip(states, record.target[start:], strict=False) if a and b]
        right += sum(a == b for a, b in pairs)
        total += len(pairs)
        chains += 1
    assert chains > 100
    assert right / total > 0.99


def test_an_ideal_helix_is_one():
    phi, step, rise = 100.0, np.arange(20), 1.5
    radii, offsets, heights = (1.55, 2.30, 1.70, 2.05), (-27.0, 0.0, 26.0, 32.0), (-0.9, 0.0, 1.1, 2.3)
    angles = np.radians(phi * step[:, None] + np.array(offsets)[None])
    backbone = np.stack(
        [np.array(radii) * np.cos(angles), np.array(radii) * np.sin(angles), rise * step[:, None] + np.array(heights)],
        -1,
    )
    states = assign(Chain("A", "A" * 20, backbone))
    assert states.count("H") >= 14
    assert set(states) <= set("HTSC")


def test_distances_with_a_missing_point():
    found = distances(np.array([[0.0, 0, 0], [3, 4, 0], [np.nan] * 3]))
    assert found[0, 1] == 5
    assert np.isnan(found[2]).all()


def test_accessibility_of_a_real_chain(bio):
    """The core of lysozyme is buried and its lysines are not."""
    (record,) = read_residues(bio / "structures_mmcif" / "1aki.cif", labelled=True)
    by_letter = {
        letter: np.mean([value for value, found in zip(record.target, record.input, strict=True) if found == letter])
        for letter in "KICW"
    }
    assert by_letter["K"] > 0.3 > by_letter["I"]
    assert by_letter["C"] < 0.2
    assert all(0 <= value < 1.5 for value in record.target)


@pytest.mark.parametrize("read_records", [read_contacts, read_secondary_structure, read_residues, read_sequences])
def test_a_list_gives_the_chains_of_all_its_structures(tmp_path, read_records):
    folder = tmp_path / "structures"
    folder.mkdir()
    chain = "".join(atoms(number, "ALA") for number in range(1, 9))
    other = "".join(atoms(number, "GLY", chain="B") for number in range(1, 7))
    (folder / "one.pdb").write_text(chain + other + "END\n")
    with gzip.open(folder / "two.pdb.gz", "wt") as file:
        file.write(other + "END\n")
    listed = tmp_path / "all.list"
    listed.write_text("structures/one.pdb\n\nstructures/two.pdb.gz\n")
    records = list(read_records(listed, labelled=read_records is not read_sequences))
    assert [(record.id, record.input, record.group) for record in records] == [
        ("one_A", "AAAAAAAA", "one"),
        ("one_B", "GGGGGG", "one"),
        ("two_B", "GGGGGG", "two"),
    ]
    alone = list(read_records(folder / "one.pdb", labelled=read_records is not read_sequences))
    assert [record.target for record in records[:2]] == [record.target for record in alone]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "file is empty"),
        ("\n\n", "names no structure"),
        ("one.pdb\ntwo.fasta\n", "all.list:2: 'two.fasta' is no structure"),
        ("absent.cif\n", "absent.cif: cannot be read as mmCIF"),
    ],
)
def test_a_list_that_names_no_structures_is_refused(tmp_path, lines, message):
    (tmp_path / "one.pdb").write_text(atoms(1, "ALA") + "END\n")
    (tmp_path / "all.list").write_text(lines)
    with pytest.raises(DataError, match=message):
        list(read_secondary_structure(tmp_path / "all.list", labelled=True))
