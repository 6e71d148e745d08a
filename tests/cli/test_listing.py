"""The commands that list and show."""

from __future__ import annotations

import json
import re

import pytest

from labtune.catalog import load_catalog
from labtune.cli import main
from labtune.settings import resolve_settings


@pytest.mark.usefixtures("demo")
class TestWithATask:
    def test_tasks(self, capsys):
        assert main(["tasks"]) == 0
        out, error = capsys.readouterr()
        assert ["demo.words", "small, large", "Words for tests."] in [
            re.split(" {2,}", line) for line in out.splitlines()
        ]
        assert error == ""

    def test_tasks_as_json(self, capsys):
        assert main(["tasks", "--json"]) == 0
        listed = json.loads(capsys.readouterr().out.splitlines()[-1])
        described = {"name": "demo.words", "summary": "Words for tests.", "presets": ["small", "large"], "missing": []}
        assert described in listed["tasks"]
        assert listed["failed"] == []

    def test_plugins_as_json(self, capsys):
        assert main(["plugins", "--json"]) == 0
        listed = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert {
            "name": "demo",
            "distribution": "labtune-demo",
            "version": "1.0",
            "module": "labtune_demo",
            "offers": {"tasks": ["demo.words"]},
            "error": None,
        } in listed["plugins"]

    @pytest.mark.parametrize("words", [[], ["--preset", "large"]])
    def test_what_show_prints_runs_the_same(self, words, capsys, tmp_path):
        assert main(["show", "demo.words", *words]) == 0
        file = tmp_path / "shown.toml"
        file.write_text(capsys.readouterr().out)
        catalog = load_catalog()
        preset = words[-1] if words else "small"
        assert resolve_settings(catalog, file) == resolve_settings(catalog, "demo.words", {"preset": preset})

    def test_show_introduces_the_task_and_its_presets(self, capsys):
        main(["show", "demo.words"])
        assert capsys.readouterr().out.startswith(
            "# demo.words: Words for tests.\n# preset small: quick\n# preset large\n\ntask = "
        )

    def test_show_names_an_unknown_preset_once(self, capsys):
        assert main(["show", "demo.words", "--preset", "lagre"]) == 2
        told = "the task 'demo.words' has no preset 'lagre' (the arguments). Did you mean 'large'?"
        assert capsys.readouterr().err == f"error: {told}\n"


def test_a_task_with_a_missing_part_is_listed_as_such(install, capsys, demo_source):
    install("labtune-demo", demo_source.replace('"sequence"', '"other.head"'))
    main(["tasks"])
    assert "Words for tests. (not usable without: head other.head)" in capsys.readouterr().out


def test_a_failed_plugin_is_hinted_at_also_beside_json(install, capsys):
    install("labtune-bad", "1 / 0")
    assert main(["tasks", "--json"]) == 0
    out, error = capsys.readouterr()
    assert json.loads(out)["failed"] == ["bad"]
    assert error == "1 plugin is not in use: see 'labtune plugins'\n"


def test_without_tasks_where_they_come_from(capsys, monkeypatch):
    names = [plugin.name for plugin in load_catalog().report.plugins if plugin.name != "builtin"]
    monkeypatch.setenv("LABTUNE_DISABLE_PLUGINS", ",".join(names))
    assert main(["tasks"]) == 0
    assert capsys.readouterr().out == "No task is installed: tasks come with plugins, which are pip packages.\n"
