"""A small finished run of a text task."""

from __future__ import annotations

import pytest

from labtune.deploy.predictor import Predictor, load
from labtune.explain.scoring import Scorer
from labtune.pipeline import Run, run


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Run:
    out = tmp_path_factory.mktemp("r") / "run"
    return run("finance.sentiment", encoder="tiny", epochs=1, precision="float32", audit="off", out=out)


@pytest.fixture(scope="session")
def predictor(finished) -> Predictor:
    return load(finished.folder)


@pytest.fixture(scope="session")
def scorer(predictor) -> Scorer:
    return Scorer(predictor)
