import json
import logging

import pytest

from labtune.errors import DataError, SettingsError
from labtune.specs import Span
from labtune_ner.reading import read
from labtune_ner.words import words_of


def write(folder, content, name="file.txt"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def records(folder, content, name="file.txt", *, labelled=True, **options):
    return list(read(write(folder, content, name), labelled=labelled, **options))


def inputs(found):
    return [record.input for record in found]


def test_words_entities_documents_and_places(tmp_path):
    start = "-DOCSTART- -X- O O\n\n"
    text = f"{start}Anna NNP B B-PER\nLee NNP I I-PER\nran VB O O\n\nTo TO O O\n\n{start}Rome X X B-LOC\n"
    first, second, third = records(tmp_path, text)
    assert first.input == ["Anna", "Lee", "ran"]
    assert first.target == [Span(0, 2, "PER")]
    assert [first.group, second.group, third.group] == ["file: document 1", "file: document 1", "file: document 2"]
    assert third.source.endswith("file.txt:11")
    assert len({first.id, second.id, third.id}) == 3


def test_without_document_marks_there_is_no_group(tmp_path):
    assert [record.group for record in records(tmp_path, "a O\n\nb O\n")] == [None, None]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a O\r\nb B-X\r\n\r\nc O", [["a", "b"], ["c"]]),
        ("\ufeffa O\n\n\n\nb O\n", [["a"], ["b"]]),
        ("a\tb\tO\n \t \nc\td\tO\n", [["a"], ["c"]]),
        ("New York\tO\nx\tO\n", [["New York", "x"]]),
        ("10\u00a0000 O\nx\u2028y O\n", [["10\u00a0000", "x\u2028y"]]),
    ],
    ids=["CRLF", "byte-order mark", "blank lines of blanks", "blanks in a word", "other spaces and line separators"],
)
def test_line_ends_and_blanks(tmp_path, content, expected):
    assert inputs(records(tmp_path, content)) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("# sent_id = 1\n# text = # 1\n# O\n1 O\n", [["#", "1"]]),
        ("# a note in many words\na O\n# O\n", [["a", "#"]]),
        ("a O\n\n# another note\nb O\n", [["a"], ["b"]]),
        ("#\tO\n#\tI-X\n", [["#", "#"]]),
    ],
    ids=["CoNLL-U", "first line", "later sentence", "hash words"],
)
def test_comments_are_told_from_the_word_hash(tmp_path, content, expected):
    assert inputs(records(tmp_path, content)) == expected


def test_columns_can_be_chosen(tmp_path):
    (record,) = records(tmp_path, "1,B-X,a\n2,O,b\n", separator=",", token_column=2, tag_column=1)
    assert (record.input, record.target) == (["a", "b"], [Span(0, 1, "X")])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a b c O\nd e O\n", "file.txt:2: 3 columns where the file has 4"),
        ("a O\nb B\n", "file.txt:2: 'B' is not a tag"),
        ("a O\nb B-\n", "file.txt:2: the tag 'B-' has no type"),
        ("a O\n\nb PER\n", "file.txt:3: 'PER' is not a tag"),
        ("a\nb\n", "file.txt:1: one column"),
        ("\tO\nx\tO\n", "file.txt:1: column 0 is empty"),
        ("a O\nb\xe9 O\n".encode("latin-1"), "file.txt:2: byte 0xe9"),
        ("", "the file is empty"),
        ("\n\n", "no sentence found"),
        ("-DOCSTART- O\n", "no sentence found"),
    ],
)
def test_a_bad_column_file_is_refused_with_its_line(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        records(tmp_path, content)


def test_options_are_checked(tmp_path):
    for options, message in [
        ({"scheme": "bio"}, "reader.scheme"),
        ({"tag_column": 5}, "reader.tag_column"),
        ({"format": "xml"}, "reader.format"),
    ]:
        with pytest.raises(SettingsError, match=message):
            records(tmp_path, "a O\n", **options)
    with pytest.raises(DataError, match=r"file.txt:1: a tag with S is not iob2"):
        records(tmp_path, "a S-X\n", scheme="iob2")


def test_repairs_are_counted_aloud(tmp_path, caplog):
    (record,) = records(tmp_path, "a I-X\nb I-Y\nc O\nd B-X\n")
    assert record.target == [Span(0, 1, "X"), Span(1, 2, "Y"), Span(3, 4, "X")]
    assert "2 tags do not follow iob2" in caplog.text


def test_character_and_index_notation_is_undone(tmp_path, caplog):
    assert inputs(records(tmp_path, "李0 B-P\n10 I-P\n的0 O\n\n\ufffd\ufffd0 O\n")) == [
        ["李", "1", "的"],
        ["\ufffd\ufffd"],
    ]
    assert "index is removed" in caplog.text


@pytest.mark.parametrize("content", ["A1 O\nB2 O\n", "李0 O\n的 O\n"], ids=["not counting", "not everywhere"])
def test_other_words_with_digits_stay(tmp_path, content):
    assert inputs(records(tmp_path, content)) == [[line.split()[0] for line in content.splitlines()]]


def annotated(text, *entities, **others):
    keys = ("start", "end", "label")
    return json.dumps(
        {"text": text, "entities": [dict(zip(keys, entity, strict=True)) for entity in entities], **others}
    )


def test_annotated_texts(tmp_path, caplog):
    lines = [
        annotated(
            "Anna Lee met Bob in New York.", (20, 28, "LOC"), (0, 8, "PER"), (13, 16, "PER"), id="a", document="d"
        ),
        annotated("The pre-Brexit years", (10, 13, "EVENT"), id="b", document="d", topic="history"),
        annotated("李开复感动", (0, 3, "PER"), id="c", document="e"),
        annotated("Nothing here", id="d", document="e"),
    ]
    first, second, third, fourth = records(tmp_path, "\n".join(lines), "x.jsonl")
    words = words_of(first)
    assert [words.text[slice(*words.between(s.start, s.end))] for s in first.target] == ["Anna Lee", "Bob", "New York"]
    assert second.target == [Span(3, 4, "EVENT")]
    assert "1 entities start or end inside a word" in caplog.text
    assert third.target == [Span(0, 3, "PER")]
    assert fourth.target == []
    assert (first.group, second.columns) == ("d", {"topic": "history"})


def test_annotated_tokens(tmp_path):
    rows = [{"tokens": ["Anna", "ran"], "tags": ["B-PER", "O"]}, {"tokens": ["In", "Rome"], "tags": ["O", "S-LOC"]}]
    found = records(tmp_path, "\n".join(map(json.dumps, rows)), "x.jsonl")
    assert [record.target for record in found] == [[Span(0, 1, "PER")], [Span(1, 2, "LOC")]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (annotated("Anna", (0, 9, "PER")), "no word from character 0 to before 9"),
        (annotated("Anna ran", (4, 5, "PER")), "no word from character 4"),
        (annotated("Anna Lee", (0, 8, "PER"), (5, 8, "PER")), "share word 1"),
        ('{"text": "a", "entities": [[0, 1, "X"]]}', "not like"),
        ('{"text": "a"}', 'no list "entities"'),
        ('{"tokens": ["a", "b"], "tags": ["O"]}', "a list of 2 tags"),
        ('{"tokens": ["a"], "tags": ["PER"]}', "not a tag"),
        ('{"tokens": ["a", ""], "tags": ["O", "O"]}', "not empty"),
        ('{"tokens": "a b", "tags": []}', "a list of strings"),
        ("{", "x.jsonl:1: not JSON"),
    ],
)
def test_a_bad_annotation_is_refused_with_its_line(tmp_path, line, message):
    with pytest.raises(DataError, match=message) as caught:
        records(tmp_path, line, "x.jsonl")
    assert "x.jsonl:1" in str(caught.value)


def test_prediction_reads_plain_texts_columns_and_tables(tmp_path):
    def unlabelled(*args, **options):
        return records(tmp_path, *args, labelled=False, **options)

    assert inputs(unlabelled("Anna ran.\n\nTo Rome.\n")) == ["Anna ran.", "To Rome."]
    assert inputs(unlabelled("Anna B-PER\nran O\n")) == [["Anna", "ran"]]
    assert inputs(unlabelled("Anna\nran\n", format="columns")) == [["Anna", "ran"]]
    assert inputs(unlabelled('{"text": "Anna ran."}\n', "x.jsonl")) == ["Anna ran."]
    assert inputs(unlabelled('{"tokens": ["Anna"]}\n', "x.jsonl")) == [["Anna"]]
    assert inputs(unlabelled("n,body\n1,Anna ran.\n", "x.csv", text_column="body")) == ["Anna ran."]
    assert all(record.target is None for record in unlabelled("Anna B-PER\nran O\n"))


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_a_table_cannot_be_labelled(tmp_path, name):
    with pytest.raises(DataError, match="holds no entities"):
        records(tmp_path, "text\na\n", name)


@pytest.mark.parametrize(
    ("name", "sentences", "entities"),
    [
        ("conll2003_en/test.txt", 3453, 5648),
        ("bc5cdr/devel.tsv", 4581, 9593),
        ("bc2gm/test.tsv", 5038, 6325),
        ("fin_sec_ner/FIN3.txt", 303, 318),
        ("weibo_ner_zh/weiboNER_2nd_conll.train", 1350, 1895),
    ],
)
def test_real_files_have_the_published_numbers_of_sentences_and_entities(data_folder, name, sentences, entities):
    found = list(read(data_folder / name, labelled=True))
    assert len(found) == sentences
    assert sum(len(record.target) for record in found) == entities


def test_real_chinese_is_read_without_its_indices(data_folder, caplog):
    with caplog.at_level(logging.WARNING):
        found = list(read(data_folder / "weibo_ner_zh/weiboNER_2nd_conll.train", labelled=True))
    assert all(
        len(word) <= 2 and not (len(word) > 1 and word[-1].isdigit()) for record in found for word in record.input
    )
    assert "10 tags do not follow iob2" in caplog.text
