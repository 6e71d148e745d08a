"""Frames of a report: scripts of installed packages alone, named by their hash, in a sandbox without network."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from labtune.evaluation.report import frames
from labtune.evaluation.sections import Frame, Text, from_json, to_json


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A package with a script."""
    folder = tmp_path / "shipping"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "draw.js").write_text("document.title = '</script>';\n")
    monkeypatch.syspath_prepend(tmp_path)
    frames.script.cache_clear()
    return "shipping/draw.js"


def test_the_policy_names_what_the_frame_runs(shipped):
    frame = Frame("f", "<p></p>", {"a": 1}, (shipped,))
    (text,) = re.findall(r"<script>(.*?)</script>", frames.document(frame), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert frames.policy([frame]) == f"{frames.BASE}; script-src 'sha256-{digest}'"


def test_without_frames_no_script_runs():
    assert "script-src" not in frames.policy([Text("t", ["p"])])
    assert frames.policy([]).startswith("default-src 'none'")


def test_data_cannot_end_their_element(shipped):
    page = frames.document(Frame("f", "", {"name": "</script><script>alert(1)</script>"}, (shipped,)))
    assert page.count("</script>") == 2  # that of the data and that of the script
    written = re.search(r'id="data">(.*?)</script>', page).group(1)
    assert json.loads(written) == {"name": "</script><script>alert(1)</script>"}


def test_a_package_that_is_gone_is_named():
    frame = Frame("f", "<p></p>", {}, ("not_installed/draw.js",))
    assert frames.document(frame) == "<p>This view needs the package not_installed.</p>"
    assert "script-src" not in frames.policy([frame])


def test_a_frame_goes_to_json_and_back():
    frame = Frame("f", "<p></p>", {"rows": [[1, 2.5, None]]}, ("a/b.js",), 300, "note")
    again = from_json(json.loads(json.dumps(to_json(frame))))
    assert again == frame
