"""Cells: what a matrix is, what is refused, and features worked by hand."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import f_oneway
from sklearn.decomposition import PCA

from labtune.catalog import load_catalog
from labtune.data.splits import load_splits
from labtune.errors import DataError, RunError, SettingsError
from labtune.protocols import Batch
from labtune.ragged import Ragged
from labtune.settings import resolve_settings
from labtune.specs import Labels, Record, Skipped
from labtune_expression.cells.encoder import FeatureEncoder
from labtune_expression.cells.profile import Genes, Profile, gene_key
from labtune_expression.cells.reading import read
from labtune_expression.cells.states import detect_state
from labtune_expression.cells.tokenizer import GeneTokenizer

LABELS = Labels(kind="classes", names=("a", "b"))
COUNTS = np.array([[3, 0, 1], [0, 2, 2], [5, 5, 0], [1, 0, 9]], dtype=np.float32)


def cells(matrix=COUNTS, names=("G1", "G2", "G3"), state="counts"):
    genes = Genes(tuple(names), state)
    return [Record(f"c{row}", Profile.of(genes, values), "a", source=f"f:{row}") for row, values in enumerate(matrix)]


def write_h5ad(path, matrix=COUNTS, sparse=True, **parts):
    anndata = pytest.importorskip("anndata")
    import pandas as pd
    from scipy.sparse import csr_matrix

    obs = pd.DataFrame({"cell_type": ["a", "b", "a", "b"], "donor": list("xxyy")}, index=[f"c{n}" for n in range(4)])
    var = pd.DataFrame({"symbol": ["S1", "S2", "S3"]}, index=["G1", "G2", "G3"])
    whole = anndata.AnnData(csr_matrix(matrix) if sparse else matrix, **{"obs": obs, "var": var, **parts})
    whole.write_h5ad(path)
    return path


@pytest.mark.parametrize("sparse", [True, False])
def test_h5ad_cells_come_in_order(tmp_path, sparse):
    path = write_h5ad(tmp_path / "cells.h5ad", sparse=sparse)
    records = list(read(path, labelled=True, group="donor", genes="symbol"))
    assert [record.id for record in records] == ["c0", "c1", "c2", "c3"]
    assert [record.target for record in records] == ["a", "b", "a", "b"]
    assert [record.group for record in records] == ["x", "x", "y", "y"]
    assert records[0].input.genes.names == ("S1", "S2", "S3")
    assert records[0].input.genes.state == "counts"
    for record, row in zip(records, COUNTS, strict=True):
        dense = np.zeros(3)
        dense[record.input.columns] = record.input.values
        assert dense.tolist() == row.tolist()


def test_h5ad_layers_and_raw_are_read_when_asked(tmp_path):
    scaled = COUNTS - COUNTS.mean(0)
    path = write_h5ad(tmp_path / "cells.h5ad", scaled, sparse=False, layers={"counts": COUNTS})
    with pytest.raises(DataError, match="the matrix is scaled"):
        list(read(path, labelled=False))
    assert next(read(path, labelled=False, matrix="layers/counts")).input.genes.state == "counts"
    assert next(read(path, labelled=False, state="any")).input.genes.state == "scaled"
    with pytest.raises(DataError, match=r"no matrix 'layers/count'\. Did you mean 'layers/counts'"):
        list(read(path, labelled=False, matrix="layers/count"))


def test_a_file_on_its_side_is_told(tmp_path):
    anndata = pytest.importorskip("anndata")
    path = write_h5ad(tmp_path / "cells.h5ad")
    turned = tmp_path / "turned.h5ad"
    anndata.read_h5ad(path).T.write_h5ad(turned)
    with pytest.raises(DataError, match="cells and genes are swapped"):
        list(read(turned, labelled=True))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([np.nan, 1, 1], "missing"),
        ([0, 0, 0], "cell 'c1'.* empty"),
    ],
)
def test_impossible_cells_are_named(tmp_path, row, message):
    path = write_h5ad(tmp_path / "cells.h5ad", np.array([[1, 2, 3], row, [1, 0, 1], [2, 2, 2]], dtype=np.float32))
    with pytest.raises(DataError, match=message):
        list(read(path, labelled=False))


def test_table_of_cells(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("id,cell_type,G1,G2\nx,a,1,0\ny,NA,2,2\nz,b,0,4\n")
    with pytest.raises(DataError, match=r"cells.csv:3: cell 'y' has no label"):
        list(read(path, labelled=True))
    first, second, third = read(path, labelled=True, unlabelled="skip")
    assert (first.id, second, third.id) == ("x", Skipped("without a label", f"{path}:3"), "z")
    assert len(list(read(path, labelled=False))) == 3


def test_cells_without_a_label_count_as_dropped(tmp_path, caplog):
    path = tmp_path / "cells.csv"
    rows = [f"c{row},{'ab'[row % 2] if row < 40 else 'NA'},{row % 7 + 1},{row % 3}\n" for row in range(45)]
    path.write_text("id,cell_type,G1,G2\n" + "".join(rows))
    catalog = load_catalog()
    flags = {"data": {"train": str(path)}, "reader": {"unlabelled": "skip"}}
    settings = resolve_settings(catalog, "expression.cell_type", flags)
    splits = load_splits(catalog.task(settings.task), settings)
    assert sum(map(len, splits.records.values())) == 40
    assert splits.dropped == {"train": 5}
    assert "left out 5 records without a label" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell_type,G1,G1\na,1,2\n", "'G1' occurs twice"),
        ("cell_type,G1,G2\na,1,x\n", "cells.csv:2: could not convert"),
        ("cell_type,G1,G2\na,1\n", "2 fields where the header has 3"),
        ("gene,c1,c2\nG1,1,2\n", "no column 'cell_type'.*one row a cell"),
        ("cell_type,G1\n", "no cell below"),
        ("cell_type,G1,G2\na,0.5,900\n", "neither counts nor log-normalised"),
        ("cell_type,G1,G2\na,-1,3\n", "the value of G1 is negative"),
    ],
)
def test_damaged_tables_are_named(tmp_path, text, message):
    path = tmp_path / "cells.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        list(read(path, labelled=True))


def test_state_is_found_from_the_numbers():
    assert detect_state(np.array([0, 3, 12.0]), "m") == "counts"
    assert detect_state(np.array([0, 0.7, 4.2]), "m") == "log"
    assert detect_state(np.array([-0.1, 2.0]), "m") == "scaled"


def test_features_are_standardised_log_counts():
    records = cells()
    tokenizer = GeneTokenizer(None, LABELS, genes=5, standardise=True)
    tokenizer.fit(records)
    features = tokenizer(records).inputs["features"].values.numpy()
    logs = np.log1p(COUNTS / COUNTS.sum(1, keepdims=True) * 10_000)
    assert features.shape == (4, 5)
    np.testing.assert_allclose(features[:, :3], (logs - logs.mean(0)) / logs.std(0), rtol=1e-4, atol=1e-5)
    assert not features[:, 3:].any()


def test_features_keep_how_much_genes_vary():
    tokenizer = GeneTokenizer(None, LABELS, genes=3)
    tokenizer.fit(cells())
    features = tokenizer(cells()).inputs["features"].values.numpy()
    logs = np.log1p(COUNTS / COUNTS.sum(1, keepdims=True) * 10_000)
    np.testing.assert_allclose(features, (logs - logs.mean(0)) / np.sqrt(logs.var(0).mean()), rtol=1e-4, atol=1e-5)


def test_depth_is_how_many_of_the_genes_a_cell_shows():
    counts = np.array([[1, 0, 0, 5], [2, 3, 0, 0], [4, 1, 7, 2]], dtype=np.float32)
    tokenizer = GeneTokenizer(None, LABELS, genes=4)
    tokenizer.fit(records := cells(counts, ("a", "b", "c", "d")))
    shares = np.log(np.array([2, 2, 4]) / 4)
    expected = (shares - shares.mean()) / shares.std()
    np.testing.assert_allclose(tokenizer(records).inputs["depth"].values[:, 0], expected, rtol=1e-5)
    fewer = tokenizer(cells(counts[:, :3], ("a", "b", "c"))).inputs["depth"].values[:, 0]  # d was not measured
    np.testing.assert_allclose(fewer, (np.log(np.array([1, 2, 3]) / 3) - shares.mean()) / shares.std(), rtol=1e-5)
    again = GeneTokenizer(None, LABELS, genes=4)
    again.restore(tokenizer.state())
    assert torch.equal(again(records).inputs["depth"].values, tokenizer(records).inputs["depth"].values)


def test_depth_goes_to_the_layers_with_its_factor():
    inputs = {"features": features_of(np.eye(2, 5, dtype=np.float32)), "depth": features_of(np.float32([[1], [-2]]))}
    encoder = FeatureEncoder(features=5, components=3, depth=2.0).eval()
    seen = torch.tensor([[0, 0, 0, 2.0], [0, 0, 0, -4.0]])  # components that nobody fitted are zero
    assert torch.equal(encoder(inputs).values, encoder.layers(seen))
    assert FeatureEncoder(features=5, components=3).layers[0].in_features == 3


def test_genes_are_weighed_by_how_they_separate_classes():
    values = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    values[:5, 1] += 3
    values[:5, 2] = 1  # the same in all of a class, and another in the other: as clear as can be
    values[5:, 2] = 2
    labels = ["a"] * 5 + ["b"] * 4
    records = [
        replace(record, target=label) for record, label in zip(cells(values, "wxyz", "scaled"), labels, strict=True)
    ]
    plain, weighed = (GeneTokenizer(None, LABELS, genes=4, standardise=True, separation=power) for power in (0, 0.5))
    for tokenizer in (plain, weighed):
        tokenizer.fit(records)
    found = weighed.scales / plain.scales
    expected = np.sqrt([f_oneway(values[:5, gene], values[5:, gene]).statistic for gene in (0, 1, 3)])
    np.testing.assert_allclose(found[[0, 1, 3]] / found[1], expected / expected[1], rtol=1e-4)
    assert found.argmax() == 2
    assert (found**2).mean() == pytest.approx(1, rel=1e-5)
    with pytest.raises(SettingsError, match=r"separation is for classes"):
        GeneTokenizer(None, Labels(kind="values", names=("v",)), separation=1.0)


def features_of(matrix):
    return Ragged.one_per_row(torch.from_numpy(matrix))


def test_components_are_scikit_learns():
    rows = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    rows -= rows.mean(0)
    encoder = FeatureEncoder(features=6, components=4)
    encoder.fit(Batch(records=[], inputs={"features": features_of(rows)}))
    expected = PCA(4, svd_solver="full").fit_transform(rows)
    found = rows @ encoder.loadings.numpy()
    np.testing.assert_allclose(np.abs(found), np.abs(expected / expected.std()), rtol=1e-3, atol=1e-3)
    before = encoder.loadings.clone()
    encoder.fit(Batch(records=[], inputs={"features": features_of(2 * rows)}))
    assert torch.equal(before, encoder.loadings)  # a trained encoder keeps its own


def test_few_samples_leave_components_at_zero():
    encoder = FeatureEncoder(features=9, components=8)
    encoder.fit(Batch(records=[], inputs={"features": features_of(np.eye(3, 9, dtype=np.float32))}))
    assert encoder.loadings.shape == (9, 8)
    assert not encoder.loadings[:, 3:].any()


def test_features_are_hidden_in_training_only():
    encoder = FeatureEncoder(features=400, components=0, hidden_share=0.5, dropout=0.0)
    inputs = {"features": features_of(np.ones((2, 400), dtype=np.float32))}
    assert not torch.allclose(encoder.train()(inputs).values[0], encoder(inputs).values[0])
    assert torch.equal(encoder.eval()(inputs).values[0], encoder(inputs).values[1])


def test_only_the_most_variable_genes_are_kept():
    matrix = np.array([[1, 5.0, 2], [1, 0, 2.5], [1, 9, 2]], dtype=np.float32)
    tokenizer = GeneTokenizer(None, LABELS, genes=1)
    tokenizer.fit(cells(matrix, state="log"))
    assert tokenizer.genes.names == ("G2",)


def test_genes_are_matched_by_name_and_missing_ones_count_as_average(caplog):
    tokenizer = GeneTokenizer(None, LABELS, genes=3)
    tokenizer.fit(cells(names=("ENSG01.4", "G2", "G3"), state="log"))
    turned = cells(COUNTS[:, [1, 0, 2]], names=("G2", "ENSG01.9", "other"), state="log")
    with caplog.at_level(logging.WARNING):
        found = tokenizer(turned).inputs["features"].values.numpy()
        tokenizer(turned)
    expected = tokenizer(cells(names=("ENSG01", "G2", "G3"), state="log")).inputs["features"].values.numpy()
    np.testing.assert_allclose(found[:, :2], expected[:, :2])
    assert not found[:, 2].any()
    told = "2 of the model's 3 genes found by names (66.7%), 1 missing; 1 genes of the file are not the model's"
    assert caplog.text.count(told) == 1  # once a file, however many batches


def test_other_names_of_genes_help():
    known = Genes(("S1", "S2", "S3"), "log", {"gene_ids": ("ENSG1", "ENSG2", "ENSG3")})
    train = [Record(str(row), Profile.of(known, values), "a") for row, values in enumerate(COUNTS)]
    tokenizer = GeneTokenizer(None, LABELS)
    tokenizer.fit(train)
    by_id = Genes(("ENSG3.2", "ENSG1.1", "ENSG2"), "log")
    by_both = Genes(("x", "y", "z"), "log", {"feature_name": ("S3", "S1", "S2")})
    for genes in (by_id, by_both):
        other = [Record(str(row), Profile.of(genes, values[[2, 0, 1]]), "a") for row, values in enumerate(COUNTS)]
        assert torch.equal(tokenizer(other).tokens.values, tokenizer(train).tokens.values)


def test_ensembl_versions_do_not_count_but_copies_do():
    assert gene_key("ENSG00000182378.14") == gene_key("ENSG00000182378")
    assert gene_key("ENSG00000182378.14_PAR_Y") == "ENSG00000182378.14_PAR_Y"
    assert gene_key("ENSMUSG00000000001.5") == "ENSMUSG00000000001"
    assert gene_key("RP11-34P13.7") == "RP11-34P13.7"


def test_a_file_of_other_genes_is_refused():
    tokenizer = GeneTokenizer(None, LABELS, genes=3)
    tokenizer.fit(cells())
    with pytest.raises(DataError, match=r"0 of the model's 3 genes \(0%\)"):
        tokenizer(cells(names=("x", "y", "z")))


def test_what_the_tokenizer_learned_comes_back():
    first, second = GeneTokenizer(None, LABELS, genes=3), GeneTokenizer(None, LABELS, genes=3)
    with pytest.raises(RunError, match="not seen training data"):
        second(cells())
    first.fit(cells())
    second.restore(first.state())
    records = cells()
    assert np.allclose(first(records).tokens.values, second(records).tokens.values, atol=1e-4)


def test_equal_profiles_are_equal_inputs():
    first, second = cells()[0].input, cells()[0].input
    assert first == second
    assert first != cells()[1].input


def test_the_encoder_names_a_size_that_does_not_fit():
    with pytest.raises(SettingsError, match=r"set encoder_options\.features"):
        FeatureEncoder(features=4)({"features": Ragged.one_per_row(torch.zeros(2, 3))})
