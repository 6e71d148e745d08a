"""States by ``mkdssp`` beside the built-in ones; skipped where the program is not installed."""

from __future__ import annotations

import numpy as np
import pytest

from labtune.errors import DataError
from labtune_protein.reading import read_secondary_structure
from labtune_protein.structure import dssp
from labtune_protein.structure.chains import Chain
from labtune_protein.structure.reading import read_chains
from labtune_protein.structure.states import assign

PROGRAM = dssp.find_program()
needs_program = pytest.mark.skipif(PROGRAM is None, reason="mkdssp is not installed")


@needs_program
@pytest.mark.parametrize("name", ["1l2y", "1o1z", "3o5r"])
def test_both_assign_the_same_to_lone_chains(bio, name):
    chains = read_chains(bio / "structures_mmcif" / f"{name}.pdb")
    (by_program,) = dssp.assign_by_program(chains, PROGRAM)
    ours = assign(chains[0])
    assert len(by_program) == len(ours)
    assert np.mean([one == other for one, other in zip(by_program, ours, strict=True)]) > 0.99


@needs_program
def test_the_program_sees_strands_between_chains(bio):
    chains = read_chains(bio / "structures_mmcif" / "1k6p.pdb")  # a protease whose two chains share a sheet
    by_program = "".join(dssp.assign_by_program(chains, PROGRAM))
    ours = "".join(map(assign, chains))
    assert len(by_program) == len(ours) == 198
    assert by_program.count("E") > ours.count("E")


@needs_program
def test_what_is_not_resolved_has_no_state(bio):
    (chain,) = read_chains(bio / "structures_mmcif" / "1l2y.pdb")
    backbone = chain.backbone.copy()
    backbone[4] = np.nan
    (states,) = dssp.assign_by_program([Chain("A", chain.sequence, backbone)], PROGRAM)
    assert [row for row, state in enumerate(states) if state == "X"] == [4]


@needs_program
def test_records_of_a_structure_take_the_programs_states(bio):
    path = bio / "structures_mmcif" / "1k6p.cif"
    records = list(read_secondary_structure(path, labelled=True, states=8))
    expected = dssp.assign_by_program(read_chains(path), PROGRAM)
    assert ["".join(record.target) for record in records] == expected


def test_without_the_program_states_are_our_own(bio, monkeypatch):
    monkeypatch.setattr("labtune_protein.structure.records.find_program", lambda: None)
    path = bio / "structures_mmcif" / "1l2y.pdb"
    (record,) = read_secondary_structure(path, labelled=True, states=8)
    assert "".join(record.target) == assign(read_chains(path)[0])


def test_a_program_that_fails_is_told(tmp_path):
    program = tmp_path / "mkdssp"
    program.write_text("#!/bin/sh\necho no license >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(DataError, match="mkdssp failed: no license; take it from the PATH"):
        dssp.assign_by_program([Chain("A", "G", np.zeros((1, 4, 3)))], str(program))
