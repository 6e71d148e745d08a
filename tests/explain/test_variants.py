"""Variants change what they say they change, and nothing else passes."""

from __future__ import annotations

import csv
import json
import math

import pytest

from labtune.cli import main
from labtune.errors import DataError
from labtune.explain.effects import effects
from labtune.explain.variants import Variant, read_variants, spelling_of
from labtune.specs import Labels, Prediction, Record

RECORD = Record("p1", "ACGTAC")


def plain(text: str, where: str) -> str:
    return text


@pytest.mark.parametrize(
    ("position", "ref", "alt", "expected"),
    [
        (1, "A", "T", "TCGTAC"),
        (6, "C", "G", "ACGTAG"),
        (3, "GT", "", "ACAC"),
        (3, "", "TT", "ACTTGTAC"),
        (7, "", "A", "ACGTACA"),
        (2, "CGT", "G", "AGAC"),
    ],
)
def test_changes_by_hand(position, ref, alt, expected):
    assert Variant("p1", position, ref, alt, "v.csv:2").of(RECORD, plain).input == expected


@pytest.mark.parametrize(
    ("position", "ref", "message"),
    [
        (1, "C", r"v\.csv:2: the reference is 'C', but record 'p1' has 'A' at position 1"),
        (0, "A", "outside record 'p1', which has 6"),
        (6, "CA", "outside"),
        (1, "ACGTAC", "leaves nothing"),
    ],
)
def test_what_does_not_fit_names_the_line(position, ref, message):
    with pytest.raises(DataError, match=message):
        Variant("p1", position, ref, "", "v.csv:2").of(RECORD, plain)


def test_a_tokenizer_says_how_letters_are_spelled():
    class Spelled:
        @staticmethod
        def normalise(text, where):
            return text.upper()

    changed = Variant("p1", 1, "a", "g", "v").of(RECORD, spelling_of(Spelled()))
    assert changed.input == "GCGTAC"
    assert spelling_of(object())("a", "v") == "a"


def test_tables_and_vcf_say_the_same(tmp_path):
    table, vcf = tmp_path / "v.tsv", tmp_path / "v.vcf"
    table.write_text("id\tposition\tref\talt\tnote\np1\t2\tC\tT\tx\np1\t2\tC\t-\ty\n")
    vcf.write_text("##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\np1\t2\trs1\tC\tT,.\t50\n")
    facts = [[(one.id, one.position, one.ref, one.alt) for one in read_variants(path)] for path in (table, vcf)]
    assert facts[0] == facts[1] == [("p1", 2, "C", "T"), ("p1", 2, "C", "")]
    assert [one.source for one in read_variants(table)] == [f"{table}:2", f"{table}:3"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.csv", "id,position,reference,alt\np1,1,A,T\n", r"v\.csv:2: no column 'ref'"),
        ("v.csv", "id,position,ref,alt\np1,one,A,T\n", r"v\.csv:2: position 'one'"),
        ("v.vcf", "p1\t2\n", r"v\.vcf:1: not a VCF line"),
    ],
)
def test_bad_files_are_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        list(read_variants(tmp_path / name))


def test_differences_and_their_spread_by_hand():
    variant = Variant("p1", 1, "A", "T", "v")
    before = Prediction("p1", 2.0, details={"interval": [1.7, 2.3]})
    after = Prediction("p1", 1.5, details={"interval": [1.1, 1.9]})
    (row,) = effects(variant, before, after, Labels(kind="values", names=("leaf",)))
    assert row["output"] == "leaf"
    assert row["difference"] == pytest.approx(-0.5)
    assert row["spread"] == pytest.approx(math.hypot(0.3, 0.4))
    several = Labels(kind="values", names=("leaf", "root"))
    rows = list(effects(variant, Prediction("p1", [1.0, 2.0]), Prediction("p1", [1.5, 1.0]), several))
    assert [(row["output"], row["difference"], row["spread"]) for row in rows] == [
        ("leaf", 0.5, None),
        ("root", -1.0, None),
    ]


def test_classes_are_compared_on_the_reference_s_own():
    labels = Labels(kind="classes", names=("no", "yes"))
    variant = Variant("p1", 1, "A", "T", "v")
    (row,) = effects(variant, Prediction("p1", "yes", 0.8, [0.2, 0.8]), Prediction("p1", "no", 0.7, [0.7, 0.3]), labels)
    assert row["output"] == "yes"
    assert row["difference"] == pytest.approx(-0.5)


def test_the_command_writes_effects_or_nothing(finished, tmp_path, capsys):
    texts, changes, out = tmp_path / "t.csv", tmp_path / "v.csv", tmp_path / "out.csv"
    texts.write_text("id,text\na,profit rose\nb,sales fell\n")
    changes.write_text("id,position,ref,alt\na,8,rose,fell\nb,7,fell,rose\n")
    command = ["explain", str(finished.folder), str(texts), "--variants", str(changes), "-o", str(out), "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["variants"] == 2
    with out.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["id"], row["ref"], row["alt"]) for row in rows] == [("a", "rose", "fell"), ("b", "fell", "rose")]
    assert rows[0]["spread"] == ""
    out.unlink()
    changes.write_text("id,position,ref,alt\na,8,rise,fell\n")
    assert main(command) == 2
    assert "the reference is 'rise', but record 'a' has 'rose'" in capsys.readouterr().err
    assert not out.exists()
    assert main([*command, "--steps", "3"]) == 2
