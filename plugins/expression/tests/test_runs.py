"""Whole runs on the bundled samples: what was saved predicts as what was trained."""

import json

import numpy as np
import pytest

import labtune
from labtune.deploy.predictor import evaluate_file
from labtune.errors import RunError
from labtune_expression.cells.annotation import annotate
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


def test_cells_are_annotated_in_their_own_file(tmp_path):
    anndata = pytest.importorskip("anndata")
    import pandas as pd

    from labtune_expression.cells.data import SAMPLE

    done = labtune.run("expression.cell_type", epochs=10, out=tmp_path / "run")
    assert done.metrics["test"]["macro_f1"]["value"] > 0.9
    table = pd.read_csv(SAMPLE, index_col="id")
    cells = anndata.AnnData(table.drop(columns="cell_type").astype("float32"), obs=table[["cell_type"]])
    cells.write_h5ad(tmp_path / "cells.h5ad")
    annotated = anndata.read_h5ad(annotate(tmp_path / "run", tmp_path / "cells.h5ad", tmp_path / "out.h5ad"))
    expected = labtune.load(tmp_path / "run").predict(read_cells(SAMPLE, labelled=False))
    assert annotated.obs["labtune_prediction"].tolist() == [prediction.value for prediction in expected]
    assert np.array_equal(annotated.X, cells.X)
    assert float(annotated.obs["labtune_confidence"].max()) <= 1
    with pytest.raises(RunError, match="exists"):
        annotate(tmp_path / "run", tmp_path / "cells.h5ad", tmp_path / "out.h5ad")
