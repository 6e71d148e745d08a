"""Every format gives the same cells, whichever way its matrix lies and however small the blocks are."""

import gzip
import logging

import numpy as np
import pytest
from scipy.io import mmwrite
from scipy.sparse import csc_matrix, csr_matrix

from labtune.errors import DataError
from labtune.specs import Skipped
from labtune_expression.cells import matrix as matrices
from labtune_expression.cells.reading import read

h5py = pytest.importorskip("h5py")

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(0.7, (40, 9)).astype(np.float32)
COUNTS[:, 0] += 1
CELLS = [f"AAC{number}-1" for number in range(40)]
IDS = [f"ENSG{number:011d}" for number in range(9)]
SYMBOLS = [*"abcdefgg", "h"]  # symbols repeat in real references


def dense(records):
    rows = np.zeros((len(records), len(records[0].input.genes.names)))
    for row, record in zip(rows, records, strict=True):
        row[record.input.columns] = record.input.values
    return rows


@pytest.fixture(params=[matrices.BLOCK_BYTES, 200], ids=["one block", "many blocks"])
def block_bytes(request, monkeypatch):
    monkeypatch.setattr(matrices, "BLOCK_BYTES", request.param)
    monkeypatch.setattr(matrices, "DENSE_CELLS", request.param)


def write_h5ad(path, matrix):
    anndata = pytest.importorskip("anndata")
    import pandas as pd

    obs = pd.DataFrame(index=CELLS)
    var = pd.DataFrame({"symbol": SYMBOLS}, index=IDS)
    anndata.AnnData(matrix, obs=obs, var=var).write_h5ad(path)
    return path


def write_10x(path, version=3, kinds="Gene Expression"):
    """Write the layout that Cell Ranger documents: genes by cells, compressed by columns."""
    turned = csc_matrix(COUNTS.T.astype(np.int32))
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        group["barcodes"] = np.array(CELLS, dtype="S")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(turned, name)
        group["shape"] = np.array(turned.shape, dtype=np.int32)
        if version == 3:
            group["features/id"] = np.array(IDS, dtype="S")
            group["features/name"] = np.array(SYMBOLS, dtype="S")
            group["features/feature_type"] = np.array([*["Gene Expression"] * 8, kinds], dtype="S")
        else:
            group["genes"] = np.array(IDS, dtype="S")
            group["gene_names"] = np.array(SYMBOLS, dtype="S")
    return path


def write_mtx(folder, zipped=True):
    folder.mkdir()
    mmwrite(folder / "matrix.mtx", csc_matrix(COUNTS.T.astype(np.int32)), field="integer")
    kind = "\tGene Expression" if zipped else ""
    names = "features.tsv" if zipped else "genes.tsv"
    (folder / names).write_text("".join(f"{i}\t{s}{kind}\n" for i, s in zip(IDS, SYMBOLS, strict=True)))
    (folder / "barcodes.tsv").write_text("".join(f"{name}\n" for name in CELLS))
    if zipped:
        for name in ("matrix.mtx", names, "barcodes.tsv"):
            (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
            (folder / name).unlink()
    return folder


def write_loom(path):
    """Write the layout that the loom specification describes: genes in rows, attributes of both sides."""
    with h5py.File(path, "w") as file:
        file["matrix"] = COUNTS.T
        file["layers/double"] = 2 * COUNTS.T
        file["row_attrs/Accession"] = np.array(IDS, dtype="S")
        file["row_attrs/Gene"] = np.array([*SYMBOLS[:7], "g2", "h"], dtype="S")
        file["col_attrs/CellID"] = np.array(CELLS, dtype="S")
        file["col_attrs/cell_type"] = np.array(["a", "b"] * 20, dtype="S")
        file["col_attrs/X_pca"] = np.zeros((40, 2))
    return path


WRITERS = {
    "csr.h5ad": lambda path: write_h5ad(path, csr_matrix(COUNTS)),
    "csc.h5ad": lambda path: write_h5ad(path, csc_matrix(COUNTS)),
    "dense.h5ad": lambda path: write_h5ad(path, COUNTS),
    "three.h5": write_10x,
    "two.h5": lambda path: write_10x(path, version=2),
    "folder3": write_mtx,
    "folder2": lambda path: write_mtx(path, zipped=False),
    "file.loom": write_loom,
}


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_cells(tmp_path, name, caplog):
    path = WRITERS[name](tmp_path / name)
    with caplog.at_level(logging.INFO):
        records = list(read(path, labelled=False))
    assert [record.id for record in records] == CELLS
    assert dense(records).tolist() == COUNTS.tolist()
    assert records[0].input.genes.state == "counts"
    assert "9 genes, counts" in caplog.text
    if name != "file.loom":
        assert records[0].input.genes.names == tuple(IDS)
        assert SYMBOLS[0] in records[0].input.genes.all_places["symbol" if "h5ad" in name else "gene_symbols"]


def test_the_matrix_of_a_folder_may_be_named(tmp_path):
    folder = write_mtx(tmp_path / "run")
    assert len(list(read(folder / "matrix.mtx.gz", labelled=False))) == 40


def test_loom_has_labels_and_layers(tmp_path):
    path = write_loom(tmp_path / "file.loom")
    records = list(read(path, labelled=True, matrix="layers/double"))
    assert [record.target for record in records[:2]] == ["a", "b"]
    assert dense(records).tolist() == (2 * COUNTS).tolist()
    with pytest.raises(DataError, match=r"no matrix 'layers/treble'\. Did you mean 'layers/double'"):
        list(read(path, labelled=True, matrix="layers/treble"))


def test_annotations_join_by_cell(tmp_path, caplog):
    path = write_10x(tmp_path / "three.h5")
    table = tmp_path / "cells.csv"
    rows = [f"{name},{'ab'[number % 2]}" for number, name in enumerate(reversed(CELLS))]
    table.write_text("\n".join(["barcode,cell_type", *rows[:-1], "other,a"]) + "\n")
    options = {"labelled": True, "annotations": str(table)}
    with pytest.raises(DataError, match="cell 'AAC0-1' has no label"):
        list(read(path, **options))
    with caplog.at_level(logging.INFO):
        *records, skipped = sorted(read(path, **options, unlabelled="skip"), key=lambda item: isinstance(item, Skipped))
    assert {record.id: record.target for record in records} == {
        name: "ab"[number % 2] for number, name in enumerate(reversed(CELLS)) if name != "AAC0-1"
    }
    assert "describes 39 of 40 cells; 1 others" in caplog.text
    assert skipped.reason == "without a label"
    table.write_text("barcode,cell_type\nAAC1,a\n")
    with pytest.raises(DataError, match=r"names none of the cells .*'AAC1' here, 'AAC0-1' there"):
        list(read(path, **options))
    table.write_text("barcode,cell_type\nAAC1-1,a\nAAC1-1,b\n")
    with pytest.raises(DataError, match=r"cells.csv:3: the cell 'AAC1-1' is described twice"):
        list(read(path, **options))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "barcodes.tsv.gz").unlink(), "no barcodes.tsv.gz or barcodes.tsv"),
        (lambda folder: (folder / "matrix.mtx.gz").write_bytes(gzip.compress(b"%%Matrix")), "not a Matrix Market file"),
        (
            lambda folder: (folder / "features.tsv.gz").write_bytes(gzip.compress(b"ENSG1\tx\tGene Expression\n")),
            r"the matrix is \(40, 9\), but there are 40 cells and 1 genes",
        ),
    ],
)
def test_damaged_folders_are_named(tmp_path, damage, message):
    folder = write_mtx(tmp_path / "run")
    damage(folder)
    with pytest.raises(DataError, match=message):
        list(read(folder, labelled=False))


def test_files_of_another_kind_are_named(tmp_path):
    path = write_10x(tmp_path / "three.h5", kinds="Antibody Capture")
    with pytest.raises(DataError, match="'Antibody Capture'"):
        list(read(path, labelled=False))
    with pytest.raises(DataError, match=r"no column 'cell_type'.*reader.annotations"):
        list(read(write_10x(tmp_path / "plain.h5"), labelled=True))
    (tmp_path / "cells.loom").write_bytes(b"no")
    with pytest.raises(DataError, match="not an HDF5 file"):
        list(read(tmp_path / "cells.loom", labelled=False))
    with pytest.raises(DataError, match="no loom file"):
        list(read((path).rename(tmp_path / "renamed.loom"), labelled=False))
    with pytest.raises(DataError, match="unknown kind of file"):
        list(read(tmp_path / "cells.rds", labelled=False))


def test_damage_in_a_later_block_names_cell_and_gene(tmp_path, monkeypatch):
    monkeypatch.setattr(matrices, "BLOCK_BYTES", 200)
    counts = COUNTS.copy()
    counts[33, 4] = -2
    path = write_h5ad(tmp_path / "cells.h5ad", csr_matrix(counts))
    with pytest.raises(DataError, match=r"cell 'AAC33-1': the value of ENSG00000000004 is negative"):
        list(read(path, labelled=False, state="counts"))


def test_log_normalised_values_are_told_from_those_of_some_genes(tmp_path, caplog):
    logs = np.log1p(COUNTS / COUNTS.sum(1, keepdims=True) * 5000)
    with caplog.at_level(logging.INFO):
        records = list(read(write_h5ad(tmp_path / "whole.h5ad", logs), labelled=False))
        list(read(write_h5ad(tmp_path / "part.h5ad", np.ascontiguousarray(logs * (logs > 6.5))), labelled=False))
    assert records[0].input.genes.state == "log"
    assert "log-normalised to 5,000 a cell" in caplog.text
    assert "taken for log-normalised, although cells have unlike totals" in caplog.text


def test_a_file_is_read_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr(matrices, "BLOCK_BYTES", 200)
    path = write_h5ad(tmp_path / "cells.h5ad", csr_matrix(COUNTS))
    reads = []
    whole = matrices.Rows.read
    monkeypatch.setattr(matrices.Rows, "read", lambda self, *ends: reads.append(ends) or whole(self, *ends))
    cells = read(path, labelled=False)
    next(cells)
    [(_, looked_at), (first, size)] = reads  # to find out what it holds, and the first block
    assert (first, looked_at) == (0, len(CELLS))
    assert size < 10
    assert len(list(cells)) == len(CELLS) - 1
    assert max(stop - start for start, stop in reads[1:]) == size
