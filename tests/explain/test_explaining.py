"""From a run and a file to a table and a page."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from labtune.cli import main
from labtune.errors import SettingsError
from labtune.explain.attribution import Explanation
from labtune.explain.logo import LETTER, logo, shades

TEXTS = "text\nprofit rose\n<b>sales</b> & costs fell\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text(TEXTS)
    return path


def test_a_table_of_lines_and_a_page(finished, file, capsys):
    assert main(["explain", str(finished.folder), str(file), "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = [json.loads(line) for line in (file.parent / "texts.csv.explained.jsonl").read_text().splitlines()]
    assert said == {
        "out": str(file.parent / "texts.csv.explained.jsonl"),
        "page": str(file.parent / "texts.csv.explained.html"),
        "records": 2,
        "explanations": 2,
    }
    assert "".join(rows[0]["pieces"]) == "profit rose"
    assert len(rows[0]["attributions"]) == len(rows[0]["effects"]["hidden"]) == 11
    page = (file.parent / "texts.csv.explained.html").read_text()
    assert "<b>sales" not in page
    assert "<script" not in page
    assert page.count("<svg") == 2


def test_a_csv_has_a_line_a_piece(finished, file):
    out = file.parent / "out.csv"
    pytest.importorskip("captum")
    assert main(["explain", str(finished.folder), str(file), "-o", str(out), "--method", "gradients"]) == 0
    with out.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["position"] for row in rows[:11]] == [str(place) for place in range(1, 12)]
    assert {row["output"] for row in rows} <= {"positive", "negative", "neutral"}
    assert len(rows) == 11 + len("<b>sales</b> & costs fell")


def test_nothing_is_left_behind_by_a_bad_request(finished, file, capsys):
    for options in (["--output", "happy"], ["-o", str(file.parent / "x.txt")], ["--steps", "0"]):
        assert main(["explain", str(finished.folder), str(file), *options]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert sorted(path.name for path in file.parent.iterdir()) == ["texts.csv"]


def test_tasks_that_predict_for_units_are_refused(tmp_path):
    from types import SimpleNamespace

    from labtune.explain.scoring import Scorer
    from labtune.specs import Labels

    parts = SimpleNamespace(
        labels=Labels(kind="spans"), task=SimpleNamespace(name="ner.conll2003"), tokenizer=None, model=None
    )
    with pytest.raises(SettingsError, match=r"ner\.conll2003 predicts for parts"):
        Scorer(SimpleNamespace(parts=parts, device="cpu", settings=SimpleNamespace(batch_tokens=1)))


def explanation(pieces, values):
    return Explanation("r", "leaf", 1.0, tuple(pieces), np.array(values), symbols=tuple("ACGT"))


def test_letters_are_as_high_as_what_they_carry():
    (drawn,) = logo(explanation("ACGT", [1.0, 2.0, -2.0, 0.0]))
    found = drawn.unescape()
    heights = [float(part.split(")")[0].split()[1]) for part in found.split("scale(")[1:]]
    assert len(heights) == 3  # the fourth carries nothing
    assert heights[1] == pytest.approx(2 * heights[0], rel=0.02)
    assert heights[2] == pytest.approx(-heights[1], rel=0.02)
    assert 'class="c1"' in found


def test_long_records_are_drawn_in_lines_of_one_scale():
    pieces = logo(explanation("A" * 200, [0.5] * 100 + [1.0] * 100))
    assert len(pieces) == 3
    assert "what letters 81 to 160 carry" in pieces[1]
    assert LETTER * 80 < 1000


def test_shades_are_shares_of_the_largest():
    assert shades(explanation(["profit", "fell"], [0.2, -0.4])) == [("profit", 0.5), ("fell", -1.0)]
    assert shades(explanation([], [])) == []
