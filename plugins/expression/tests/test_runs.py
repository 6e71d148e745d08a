"""Whole runs on the bundled samples: what was saved predicts as what was trained."""

import json

import numpy as np
import pytest

import labtune
from labtune.deploy.predictor import evaluate_file, predict_file
from labtune.errors import DataError
from labtune_expression.cells.reading import read as read_cells
from labtune_expression.data import promoters

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("preset", ["conv", "rotary"])
def test_networks_from_scratch_come_back_from_the_run_folder(tmp_path, preset):
    options = {"width": 16, "motifs": 16} if preset == "conv" else {"width": 16, "layers": 1, "heads": 2}
    done = labtune.run("expression.promoter", preset=preset, epochs=1, encoder_options=options, out=tmp_path / "run")
    again = evaluate_file(tmp_path / "run", promoters()["test"])
    assert again["scores"]["pearson"]["value"] == pytest.approx(done.metrics["test"]["pearson"]["value"], abs=1e-5)
    state = json.loads((tmp_path / "run/model/encoder/encoder.json").read_text())
    assert state["component"] == f"expression.{preset}"


def test_planted_motifs_are_learned(tmp_path):
    done = labtune.run("expression.promoter", epochs=15, out=tmp_path / "run")
    assert done.metrics["test"]["pearson"]["value"] > 0.7


def test_cells_are_annotated_in_a_copy_of_their_file(tmp_path):
    anndata = pytest.importorskip("anndata")
    import pandas as pd

    from labtune_expression.cells.data import SAMPLE

    done = labtune.run("expression.cell_type", epochs=10, out=tmp_path / "run")
    assert done.metrics["test"]["macro_f1"]["value"] > 0.9
    assert "Learned space" in (tmp_path / "run/sections.json").read_text()
    table = pd.read_csv(SAMPLE, index_col="id")
    cells = anndata.AnnData(table.drop(columns="cell_type").astype("float32"), obs=table[["cell_type"]])
    cells.layers["twice"] = 2 * cells.X
    cells.write_h5ad(tmp_path / "cells.h5ad")
    summary = predict_file(tmp_path / "run", tmp_path / "cells.h5ad", tmp_path / "out.h5ad")
    assert summary["records"] == len(table)
    annotated = anndata.read_h5ad(tmp_path / "out.h5ad")
    expected = labtune.load(tmp_path / "run").predict(read_cells(SAMPLE, labelled=False))
    assert annotated.obs["labtune_best_guess"].tolist() == [prediction.value for prediction in expected]
    unknown = annotated.obs["labtune_prediction"] == "unknown"
    assert unknown.tolist() == [prediction.details["abstained"] for prediction in expected]
    known = annotated.obs[~unknown]
    assert (known["labtune_prediction"].astype(str) == known["labtune_best_guess"].astype(str)).all()
    assert np.array_equal(annotated.X, cells.X)
    assert np.array_equal(annotated.layers["twice"], cells.layers["twice"])
    assert annotated.obs["cell_type"].tolist() == table["cell_type"].tolist()
    assert float(annotated.obs["labtune_confidence"].max()) <= 1
    with pytest.raises(DataError, match=r"copy of an \.h5ad file"):
        predict_file(tmp_path / "run", SAMPLE, tmp_path / "other.h5ad")
    assert not list(tmp_path.glob("*other*"))


@pytest.mark.parametrize("preset", ["ranks", "bins"])
def test_sets_of_genes_are_learned(tmp_path, preset):
    done = labtune.run("expression.cell_type", preset=preset, epochs=10, learning_rate=5e-3, out=tmp_path / "run")
    assert done.metrics["test"]["accuracy"]["value"] > 0.8
    assert done.metrics["valid"]["accuracy"]["value"] > 0.8
