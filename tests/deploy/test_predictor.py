"""Prediction is lazy, keeps the order, and leaves whole files or none."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from labtune.deploy.predictor import CHUNK, Predictor, chunks, evaluate_file, load, predict_file
from labtune.errors import DataError, LabtuneError, RunError
from labtune.pipeline import Run, run
from labtune.specs import Record


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Run:
    return run(
        "finance.sentiment", encoder="tiny", epochs=1, precision="float32", out=tmp_path_factory.mktemp("r") / "run"
    )


@pytest.fixture(scope="module")
def predictor(finished) -> Predictor:
    return load(finished.folder)


def counted(total: int, taken: list[int]) -> Iterator[Record]:
    for number in range(total):
        taken[0] += 1
        yield Record(str(number), "up" * (1 + number % 9))


def test_the_run_and_its_reloaded_model_agree(finished, predictor):
    test = json.loads((finished.folder / "metrics.json").read_text())["data"]["test"]["file"]
    written = [json.loads(line) for line in (finished.folder / "predictions.jsonl").read_text().splitlines()]
    again = evaluate_file(finished.folder, test)
    assert again["records"] == len(written)
    assert again["scores"] == finished.metrics["test"]


def test_order_and_numbers(predictor):
    texts = ["short", "a far longer text about profits", "", "short"]
    found = predictor.predict(texts)
    assert [prediction.id for prediction in found] == ["1", "2", "3", "4"]
    assert found[0].confidence == pytest.approx(found[3].confidence, abs=1e-6)
    for text, prediction in zip(texts, found, strict=True):
        alone = predictor.predict([text])[0]
        assert alone.value == prediction.value
        assert alone.confidence == pytest.approx(prediction.confidence, abs=1e-5)


def test_no_more_is_read_than_a_chunk(predictor):
    taken = [0]
    stream = predictor.stream(counted(CHUNK + 10, taken))
    assert next(stream).id == "0"
    assert taken == [CHUNK + 1]  # the one that did not fit is read already
    assert [int(prediction.id) for prediction in stream] == list(range(1, CHUNK + 10))


def test_long_records_make_small_chunks(monkeypatch):
    monkeypatch.setattr("labtune.deploy.predictor.CHUNK_SIZE", 10)
    records = [Record(str(number), "x" * size) for number, size in enumerate((4, 4, 4, 30, 1, 1))]
    assert [[len(record.input) for record in chunk] for chunk in chunks(records)] == [[4, 4], [4], [30], [1, 1]]
    numbers = [Record(str(number), number) for number in range(4)]
    assert list(map(len, chunks(numbers))) == [4]


def test_what_is_predicted_is_written_at_once(finished, tmp_path, monkeypatch):
    """When the reader is asked for the last records of a file, the first predictions are on the disk."""
    monkeypatch.setattr("labtune.deploy.predictor.CHUNK", 50)
    out, seen = tmp_path / "out.jsonl", []

    def read(path, *, labelled):
        for number in range(1000):
            yield Record(str(number), "up")
        partial = tmp_path / ".out.jsonl.partial"
        seen.append(len(partial.read_text().splitlines()))
        assert not out.exists()

    monkeypatch.setattr("labtune_finance.phrasebank.read", read)
    predict_file(finished.folder, tmp_path / "any.txt", out)
    assert seen[0] > 800
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == list(map(str, range(1000)))


def resident_mb() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
def test_memory_stays_flat(predictor):
    """Holding 200,000 predictions takes some 70 MiB; a stream of them no more than a chunk."""
    stream = predictor.stream(counted(200_000, [0]))
    for _ in range(3 * CHUNK):
        next(stream)
    before = resident_mb()
    peak = max(resident_mb() for number, _ in enumerate(stream) if number % CHUNK == CHUNK // 2)
    assert peak - before < 30


def test_a_file_without_labels(finished, tmp_path):
    file = tmp_path / "new.csv"
    file.write_text("text\nprofit rose\nprofit fell\n")
    summary = predict_file(finished.folder, file)
    lines = [json.loads(line) for line in (tmp_path / "new.csv.predictions.jsonl").read_text().splitlines()]
    assert summary["records"] == len(lines) == 2
    assert set(lines[0]) >= {"id", "prediction", "confidence"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.csv", "new.csv.predictions.jsonl"]


@pytest.mark.parametrize("text", ["text\n", "text\nfine\n\0bad"])
def test_an_error_leaves_the_old_file(finished, tmp_path, text, monkeypatch):
    file, out = tmp_path / "new.csv", tmp_path / "out.jsonl"
    file.write_text(text)
    out.write_text("old\n")
    if "bad" in text:
        monkeypatch.setattr("labtune.deploy.predictor.prediction_json", _broken)
    with pytest.raises(LabtuneError):
        predict_file(finished.folder, file, out)
    assert out.read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.csv", "out.jsonl"]


def _broken(_):
    raise DataError("broken")


def test_nowhere_to_write(finished, tmp_path):
    file = tmp_path / "new.csv"
    file.write_text("text\nfine\n")
    with pytest.raises(RunError, match=r"none/out.jsonl: cannot write \(No such file or directory\)"):
        predict_file(finished.folder, file, tmp_path / "none" / "out.jsonl")


def test_not_a_finished_run(tmp_path):
    with pytest.raises(RunError, match="no such run folder"):
        load(tmp_path / "none")
    (tmp_path / "run.toml").write_text("")
    with pytest.raises(RunError, match="was not finished; go on with --resume"):
        load(tmp_path)
