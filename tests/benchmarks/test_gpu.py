"""The script for whoever has a GPU runs, shrunken, on any machine."""

from __future__ import annotations

import pytest


@pytest.fixture
def gpu(script):
    return script("speed/gpu.py")


def test_everything_is_checked_and_measured(gpu):
    result = gpu.run(gpu.SMALL)
    assert all(check["ok"] for check in result["checks"])
    assert {check["check"].split(":")[0] for check in result["checks"]} >= {"bert", "esm", "modernbert"}
    assert all(speed > 0 for speed in result["speed"]["tokens_per_second"].values())
    assert 0 < result["speed"]["share_of_matmul_rate"] < 1


def test_a_wrong_attention_would_fail(gpu, monkeypatch):
    from labtune.encoder.packing import Packing

    monkeypatch.setattr(Packing, "mask", lambda self, group, window: None)
    assert not all(check["ok"] for check in gpu.checks())
