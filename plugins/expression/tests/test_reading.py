"""Tables, FASTA and BED to records."""

import math

import pytest

from labtune.catalog import load_catalog
from labtune.data.dataset import load_records
from labtune.errors import DataError, SettingsError
from labtune_expression.reading import read

GENOME = ">chr1\nAACCGGTTAC\nGTNN\n>chr2\nttttt\n"


def write(path, text):
    path.write_text(text)
    return path


@pytest.fixture
def genome(tmp_path):
    return str(write(tmp_path / "genome.fa", GENOME))


def bed(tmp_path, genome, text, **options):
    return list(read(write(tmp_path / "regions.bed", text), labelled="target" in options, genome=genome, **options))


def test_table_is_normalised_and_keeps_its_columns(tmp_path):
    path = write(tmp_path / "p.csv", "sequence,expression,species\nacgu,1.5,maize\n")
    [record] = read(path, labelled=True)
    assert (record.input, record.target, record.columns) == ("ACGT", "1.5", {"species": "maize"})
    [bare] = read(path, labelled=False)
    assert bare.target is None


def test_several_targets_may_have_gaps(tmp_path):
    task = load_catalog().task("expression.promoter")
    path = write(tmp_path / "p.tsv", "sequence\tleaf\troot\nACGT\t1\tNA\nACGA\t2\t3\n")
    first, second = load_records(task, path, options={"target": ["leaf", "root"]})
    assert first.target[0] == 1.0
    assert math.isnan(first.target[1])
    assert second.target == [2.0, 3.0]


def test_missing_target_names_the_nearest_column(tmp_path):
    path = write(tmp_path / "p.csv", "sequence,expresion\nACGT,1\n")
    with pytest.raises(DataError, match="'expresion'"):
        list(read(path, labelled=True))


def test_fasta_reads_targets_and_groups_from_its_headers(tmp_path):
    path = write(tmp_path / "p.fasta", ">a expression=2 family=f1 note\nAC\ngu\n\n>b expression=-1e-1 family=f2\nTTN\n")
    a, b = read(path, labelled=True, group="family")
    assert (a.id, a.input, a.target, a.group, a.source) == ("a", "ACGT", "2", "f1", f"{path}:1")
    assert (b.input, b.target, b.source) == ("TTN", "-1e-1", f"{path}:5")


def test_a_header_without_its_group_is_named(tmp_path):
    path = tmp_path / "p.fasta"
    path.write_text(">p1 expression=1 gene=a\nACGT\n>p2 expression=2\nACGT\n")
    with pytest.raises(DataError, match=r"p\.fasta:3: the header has no gene="):
        list(read(path, labelled=True, group="gene"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ACGT\n", "p.fa:1: a FASTA file starts"),
        (">\nACGT\n", "p.fa:1: the header has no name"),
        (">a\n>b\nAC\n", "p.fa:1: record 'a': the sequence is empty"),
        (">a\nACJT\n", "'J' at position 3"),
    ],
)
def test_damaged_fasta_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        list(read(write(tmp_path / "p.fa", text), labelled=False))


def test_intervals_follow_their_strand(tmp_path, genome):
    pytest.importorskip("pyfaidx")
    text = "chr1\t0\t4\tfirst\t0\t+\nchr1\t0\t4\tsecond\t0\t-\nchr1\t8\t14\nchr2\t1\t3\t.\t0\t.\n"
    records = bed(tmp_path, genome, text)
    assert [record.input for record in records] == ["AACC", "GGTT", "ACGTNN", "TT"]
    assert [record.id for record in records] == ["first", "second", "chr1:8-14", "chr2:1-3"]


def test_interval_targets_come_from_named_columns(tmp_path, genome):
    pytest.importorskip("pyfaidx")
    [record] = bed(tmp_path, genome, "#chrom\tstart\tend\ttpm\nchr1\t0\t4\t7\n", target="tpm", group="chrom")
    assert (record.target, record.group) == ("7", "chr1")
    [record] = bed(tmp_path, genome, "chr1\t0\t4\ta\t3\t+\t9\n", target="column_7")
    assert record.target == "9"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1\t10\t15", "ends at 15, and chr1 has 14 bases"),
        ("chr3\t0\t2", "the genome has no 'chr3'"),
        ("chr1\t4\t4", "empty or negative"),
        ("chr1\t-1\t4", "empty or negative"),
        ("chr1 0 4", "not a BED line"),
        ("chr1\t0\t4\ta\t0\tx", "the strand is 'x'"),
    ],
)
def test_intervals_off_the_chromosome_are_named(tmp_path, genome, line, message):
    pytest.importorskip("pyfaidx")
    with pytest.raises(DataError, match=f"regions.bed:1: .*{message}"):
        bed(tmp_path, genome, f"{line}\n")


def test_bed_needs_a_genome(tmp_path):
    with pytest.raises(SettingsError, match=r"reader\.genome"):
        bed(tmp_path, "", "chr1\t0\t4\n")
