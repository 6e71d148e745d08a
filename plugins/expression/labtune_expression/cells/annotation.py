"""Predictions back into the AnnData file that they are for."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from labtune.catalog import call_target
from labtune.deploy.predictor import load
from labtune.errors import RunError

CHUNK = 4096  # cells in memory at once
COLUMNS = ("labtune_prediction", "labtune_confidence")


def annotate(run: str | Path, file: str | Path, out: str | Path) -> Path:
    """Write a copy of an ``.h5ad`` file whose ``obs`` has the prediction and its confidence for every cell.

    Parameters
    ----------
    run
        Folder of a finished run of a task of this plugin.
    file
        Cells, read with the run's reader options.
    out
        File to write; it must not exist.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    RunError
        If ``out`` exists.
    """
    import anndata
    import pandas as pd

    target, partial = Path(out), Path(out).with_name(f".{Path(out).name}.partial")
    if target.exists():
        raise RunError(f"{target} exists; choose another file")
    predictor = load(run)
    reader = predictor.parts.task.reader
    records = call_target(reader, Path(file), what="reader option", labelled=False, **predictor.settings.reader)
    found = []
    while chunk := list(islice(records, CHUNK)):
        found += [(prediction.value, prediction.confidence) for prediction in predictor.stream(chunk)]
    whole = anndata.read_h5ad(file, backed="r")
    whole.obs[COLUMNS[0]] = pd.Categorical([value for value, _ in found])
    whole.obs[COLUMNS[1]] = [confidence for _, confidence in found]
    try:
        whole.write_h5ad(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target
