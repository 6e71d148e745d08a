"""Predictions back into the AnnData file that they are for."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from labtune.errors import DataError
from labtune.specs import Prediction
from labtune_expression.cells.hdf5 import needs_anndata

UNKNOWN = "unknown"
PREDICTION, BEST, CONFIDENCE = "labtune_prediction", "labtune_best_guess", "labtune_confidence"


def write(predictions: Iterable[Prediction], file: Path, out: Path) -> None:
    """Write a copy of an ``.h5ad`` file whose ``obs`` has three columns more; all else stays as it is.

    ``labtune_prediction`` is ``unknown`` where the model abstains, ``labtune_best_guess`` the likeliest class in any
    case, and ``labtune_confidence`` its probability. The matrix is copied on disk and never read.

    Parameters
    ----------
    predictions
        One for each cell, in the order of the file.
    file
        The cells.
    out
        File to write.

    Raises
    ------
    DataError
        If ``file`` is no ``.h5ad`` file.
    """
    if file.suffix.lower() != ".h5ad":
        raise DataError(f"{file}: predictions go into a copy of an .h5ad file, which this is not; give -o FILE.jsonl")
    needs_anndata(file)
    shutil.copyfile(file, out)
    _add_columns(out, _columns(predictions))


def _columns(predictions: Iterable[Prediction]) -> dict[str, Any]:
    import pandas as pd

    answers, guesses, confidences = [], [], []
    for prediction in predictions:
        answers.append(UNKNOWN if prediction.details.get("abstained") else str(prediction.value))
        guesses.append(str(prediction.value))
        confidences.append(prediction.confidence)
    return {PREDICTION: pd.Categorical(answers), BEST: pd.Categorical(guesses), CONFIDENCE: confidences}


def _add_columns(path: Path, columns: dict[str, Any]) -> None:
    """Replace ``obs`` of a file by itself and the columns."""
    import anndata
    import h5py
    from anndata.io import read_elem, write_elem

    with h5py.File(path, "r+") as file:
        if isinstance(file["obs"], h5py.Group):
            obs = read_elem(file["obs"])
            del file["obs"]
            write_elem(file, "obs", obs.assign(**columns))
            return
    whole = anndata.read_h5ad(path)  # of anndata before 0.7, which kept obs in another form
    whole.obs = whole.obs.assign(**columns)
    whole.write_h5ad(path)
