import csv
import gzip
import json

import pytest

from labtune.data.reading import open_text, read_table
from labtune.errors import DataError


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path, labelled=True, **options):
    return list(read_table(path, labelled=labelled, **options))


class TestOpenText:
    def test_removes_mark_and_line_ends(self, tmp_path):
        path = write(tmp_path, "a.txt", b"\xef\xbb\xbfone\r\ntwo\nthr\xc3\xa9e")
        assert list(open_text(path)) == [(1, "one"), (2, "two"), (3, "thrée")]

    def test_reads_gzip(self, tmp_path):
        path = write(tmp_path, "a.txt.gz", gzip.compress(b"one\ntwo\n"))
        assert list(open_text(path)) == [(1, "one"), (2, "two")]

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.txt", b"", "empty"),
            ("a.txt", b"good\nb\xe4d\n", r"a\.txt:2: byte 0xe4 is not utf-8"),
            ("a.gz", b"not gzip", "cannot be read"),
            ("a.gz", gzip.compress(b"one\n" * 9999, mtime=0)[:-20], "cannot be read"),
        ],
    )
    def test_says_what_is_wrong(self, tmp_path, name, content, message):
        with pytest.raises(DataError, match=message):
            list(open_text(write(tmp_path, name, content)))

    def test_missing_file_and_folder(self, tmp_path):
        with pytest.raises(DataError, match="no such file"):
            list(open_text(tmp_path / "none.txt"))
        with pytest.raises(DataError, match="folder"):
            list(open_text(tmp_path))

    def test_does_not_read_ahead_of_its_reader(self, tmp_path):
        path = write(tmp_path, "a.txt", b"first\n" + b"\xff\n")
        assert next(open_text(path)) == (1, "first")


def same_table(tmp_path):
    """One table in every format."""
    rows = [
        {"id": "x1", "text": 'a "quoted", cell', "label": "up", "site": "A"},
        {"id": "x2", "text": "two\nlines", "label": "down", "site": "B"},
    ]
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, dialect in (("t.csv", "excel"), ("t.tsv", "excel-tab")):
        with open(tmp_path / name, "w", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0], dialect=dialect)
            writer.writeheader()
            writer.writerows(rows)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "t.jsonl").write_text(lines)
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.jsonl.gz", "t.parquet"])
def test_formats_agree(tmp_path, name):
    same_table(tmp_path)
    first, second = read(tmp_path / name, group="site")
    assert (first.id, first.input, first.target, first.group) == ("x1", 'a "quoted", cell', "up", "A")
    assert (second.id, second.input, second.target, second.group) == ("x2", "two\nlines", "down", "B")
    assert first.columns == {}


def test_lines_of_csv_are_those_of_the_file(tmp_path):
    path = write(tmp_path, "my.train.csv", 'text,label\n"two\nlines",a\n\nplain,b\n')
    assert [(record.id, record.source) for record in read(path)] == [
        ("my.train:2", f"{path}:2"),
        ("my.train:5", f"{path}:5"),
    ]


def test_unlabelled_file_keeps_other_columns(tmp_path):
    path = write(tmp_path, "a.csv", "text,label,year\nhello,up,1999\n")
    (record,) = read(path, labelled=False)
    assert record.target is None
    assert record.columns == {"label": "up", "year": "1999"}
    (record,) = read(write(tmp_path, "b.csv", "text\nhello\n"), labelled=False)
    assert record.input == "hello"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "txt,label\nx,y\n", "no column 'text'. Did you mean 'txt'"),
        ("a.csv", "text;label\nx;y\n", "Known: text;label"),
        ("a.csv", "text,label\nx,y,z\n", r"a\.csv:2: 3 fields where the header has 2"),
        ("a.csv", 'text,label\nfine,a\n"open,b\nmore,c\n', r"a\.csv:3: "),
        ("a.csv", "text,text\nx,y\n", "'text' twice"),
        ("a.csv", "text,label\n", "no record"),
        ("a.csv", "text,label\n  ,y\n", r"a\.csv:2: the input column 'text' is empty"),
        ("a.jsonl", '{"text": "x", "label": "a"}\n{"text" 1}\n', r"a\.jsonl:2: not JSON at column 9"),
        ("a.jsonl", "[1]\n", r"a\.jsonl:1: not an object"),
        ("a.jsonl", '{"text": "x"}\n', r"a\.jsonl:1: no column 'label'"),
        ("a.parquet", "nothing", "not a Parquet file"),
        ("a.xlsx", "nothing", r"cannot read \.xlsx"),
    ],
)
def test_says_what_is_wrong_and_where(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read(write(tmp_path, name, content))
    assert "\n" not in str(caught.value)


def test_named_id_and_group_must_exist(tmp_path):
    path = write(tmp_path, "a.csv", "text,label\nx,y\n")
    for option in ({"id": "key"}, {"group": "donor"}):
        with pytest.raises(DataError, match="no column"):
            read(path, **option)


def test_other_separator_and_encoding(tmp_path):
    path = write(tmp_path, "a.csv", "text;label\nB\xf6rse;up\n".encode("latin-1"))
    (record,) = read(path, separator=";", encoding="latin-1")
    assert record.input == "Börse"


@pytest.mark.parametrize(("name", "message"), [("data", "this is a folder"), ("absent", "no such file")])
def test_a_path_without_suffix_is_told_what_it_is(tmp_path, name, message):
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match=message):
        list(read_table(tmp_path / name, labelled=True))
