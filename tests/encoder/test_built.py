"""A network built by a component is saved as its origin and weights, and read back with no other knowledge."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from labtune import Component, Ragged, hookimpl
from labtune.catalog import load_catalog
from labtune.encoder.base import Encoder
from labtune.encoder.loading import load_encoder
from labtune.errors import EncoderError


class Small(Encoder):
    """A table of eight states."""

    def __init__(self, *, width: int = 4) -> None:
        super().__init__()
        self.width = width
        self.table = nn.Embedding(8, width)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, inputs):
        """Look up."""
        return inputs["input_ids"].with_values(self.table(inputs["input_ids"].values) + self.seen)


@pytest.fixture
def catalog():
    @hookimpl
    def labtune_encoders():
        return [Component(name="own.small", target=f"{__name__}:Small", summary="A table.")]

    return load_catalog({"own": SimpleNamespace(__name__="own", labtune_encoders=labtune_encoders)})


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Tests are imported by file, so the component's target needs a module of that name."""
    import sys

    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(Small=Small))


def test_weights_buffers_and_options_come_back(catalog, tmp_path):
    encoder = load_encoder("own.small", catalog, options={"width": 6})
    encoder.seen.fill_(3.0)
    encoder.save(tmp_path)
    again = load_encoder(str(tmp_path), catalog)
    ids = {"input_ids": Ragged.from_rows([[1, 2], [7]], dtype=torch.long)}
    assert again.width == 6
    assert torch.equal(again(ids).values, encoder(ids).values)


@pytest.mark.parametrize("damage", ["encoder.json", "encoder.safetensors"])
def test_a_damaged_file_is_named(catalog, tmp_path, damage):
    load_encoder("own.small", catalog).save(tmp_path)
    (tmp_path / damage).write_text("{")
    with pytest.raises(EncoderError, match=damage):
        load_encoder(str(tmp_path), catalog)


def test_weights_of_another_network_are_refused(catalog, tmp_path):
    load_encoder("own.small", catalog).save(tmp_path)
    (tmp_path / "encoder.json").write_text(json.dumps({"component": "own.small", "options": {"width": 5}}))
    with pytest.raises(EncoderError, match="train again"):
        load_encoder(str(tmp_path), catalog)


def test_a_network_without_a_component_is_not_saved(tmp_path):
    with pytest.raises(EncoderError, match="no component built"):
        Small().save(tmp_path)
