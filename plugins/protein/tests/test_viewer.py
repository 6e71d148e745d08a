"""Chains in the viewer: whose coordinates are known, one colour a residue, right and wrong told apart."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from labtune.evaluation.report import frames
from labtune.evaluation.sections import to_json
from labtune.specs import Labels, Prediction, Record
from labtune_protein.contacts import read_contacts
from labtune_protein.data import state_examples
from labtune_protein.reading import read_residues, read_secondary_structure
from labtune_protein.structure.sources import chain_of
from labtune_protein.viewer.scenes import RIGHT, SCRIPTS, UNKNOWN, WRONG, shade
from labtune_protein.viewer.views import contact_scenes, residue_scenes

STATES = Labels(kind="classes", names=("H", "E", "C"))


@pytest.fixture
def path(bio):
    return bio / "structures_mmcif" / "1l2y.pdb"  # 20 residues


def test_residues_are_coloured_by_error(path):
    (record,) = read_secondary_structure(path, labelled=True)
    record = replace(record, target=[None, *record.target[1:]])
    found = [record.target[1], *("E" if row == 4 else state for row, state in enumerate(record.target))][1:]
    found[0] = "H"
    (frame,) = residue_scenes([Prediction(record.id, found, [0.5] * 20)], [record], STATES)
    (chain,) = frame.data["chains"]
    assert chain["colours"]["error"] == (UNKNOWN, *(WRONG if row == 4 else RIGHT for row in range(1, 20)))
    assert all(len(colours) == 20 for colours in chain["colours"].values())
    assert set(chain["colours"]) == set(frame.data["legends"])
    assert sum(line.startswith("ATOM") for line in chain["pdb"].splitlines()) == 4 * 20


def test_numbers_have_a_scale(path):
    (record,) = read_residues(path, labelled=True)
    labels = Labels(kind="values", names=("value",))
    (frame,) = residue_scenes([Prediction(record.id, list(record.target))], [record], labels)
    colours = frame.data["chains"][0]["colours"]
    assert colours["prediction"] == colours["truth"]
    assert set(colours["error"]) == {shade(0.0)}
    assert len(set(colours["truth"])) > 5


def test_contacts_are_lines_of_two_colours(path):
    (record,) = read_contacts(path, labelled=True)
    record = replace(record, target=[*record.target, (0, 19, "contact")])
    pairs = [[0, 19, 0.9], [1, 18, 0.8]]
    (frame,) = contact_scenes(
        [Prediction(record.id, [], [], details={"pairs": {"long": pairs}})],
        [record],
        Labels(kind="spans", names=("contact",)),
    )
    (chain,) = frame.data["chains"]
    right = any((first, second) == (1, 18) for first, second, _ in record.target)
    assert chain["lines"] == ((1, 20, RIGHT), (2, 19, RIGHT if right else WRONG))
    assert chain["colours"]["error"][0] == shade(0.0)
    assert chain["colours"]["error"][9] == UNKNOWN


def test_records_without_coordinates_have_no_scene():
    records = state_examples()
    predictions = [Prediction(record.id, ["C"] * len(record.input)) for record in records]
    assert residue_scenes(predictions, records, STATES) == []


def test_a_file_that_is_gone_or_changed_gives_no_chain(path, tmp_path):
    (record,) = read_secondary_structure(path, labelled=True)
    assert chain_of(record).sequence == record.input
    assert chain_of(replace(record, source=f"{tmp_path / 'gone.pdb'}:A")) is None
    assert chain_of(replace(record, input=record.input + "A")) is None
    assert chain_of(Record("r", "MKV")) is None


def test_the_page_has_the_viewer_and_stays_small(path):
    (record,) = read_secondary_structure(path, labelled=True)
    (frame,) = residue_scenes([Prediction(record.id, record.target, [1.0] * 20)], [record], STATES)
    page = frames.document(frame)
    assert "$3Dmol" in page
    assert 500_000 < len(page) < 1_000_000
    assert len(json.dumps(to_json(frame))) < 20_000  # the scripts are not in the run folder
    assert all(frames.script(name) for name in SCRIPTS)
