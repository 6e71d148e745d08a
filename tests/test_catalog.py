"""Names become things, and a wrong name or option says what was meant."""

from __future__ import annotations

import pytest

from labtune.catalog import call_target, load_catalog, resolve
from labtune.errors import PluginError, SettingsError

PARTS = """
from __future__ import annotations

from typing import TypedDict, Unpack

from labtune import Component, hookimpl

class Head:
    def __init__(self, width, labels, *, hidden=8, depth=1):
        self.width, self.hidden = width, hidden

def read(path, *, labelled, column):
    return path, labelled, column

def anything(**options):
    return options

class Table(TypedDict, total=False):
    column: str
    separator: str

def handing_on(path, *, labelled, header="", **table: Unpack[Table]):
    return table

def failing():
    import no_such_library

@hookimpl
def labtune_heads():
    return [Component(name="parts.head", target="labtune_parts:Head", summary="A head.")]
"""


@pytest.fixture(autouse=True)
def parts(install):
    install("labtune-parts", PARTS)


def test_build_imports_and_calls_with_the_options():
    head = load_catalog().build("heads", "parts.head", 16, None, hidden=4)
    assert (head.width, head.hidden) == (16, 4)


@pytest.mark.parametrize(
    ("option", "hint"),
    [("hiden", "Did you mean 'hidden'?"), ("crf", "Known: depth, hidden."), ("labels", "Known: depth, hidden.")],
)
def test_an_unknown_option_names_the_nearest(option, hint):
    with pytest.raises(SettingsError) as caught:
        load_catalog().build("heads", "parts.head", 16, None, **{option: 4})
    assert str(caught.value) == f"unknown option of the head 'parts.head': {option!r}. {hint}"


def test_a_part_without_options_says_so():
    with pytest.raises(SettingsError, match=r"unknown reader option: 'column'\. It has none\."):
        call_target("labtune_parts:failing", what="reader option", column=1)


def test_a_needed_option_that_is_missing_is_named():
    with pytest.raises(SettingsError, match="missing reader option: 'column' must be given"):
        call_target("labtune_parts:read", "here", what="reader option", labelled=True)


def test_open_options_pass_unchecked():
    assert call_target("labtune_parts:anything", name=1, target=2) == {"name": 1, "target": 2}


def test_options_that_are_handed_on_are_known():
    words = {"what": "reader option", "labelled": True}
    assert call_target("labtune_parts:handing_on", "here", **words, separator=";") == {"separator": ";"}
    with pytest.raises(SettingsError, match=r"unknown reader option: 'seperator'\. Did you mean 'separator'\?"):
        call_target("labtune_parts:handing_on", "here", **words, seperator=";")


def test_a_failure_inside_the_part_is_its_own():
    with pytest.raises(ModuleNotFoundError):
        call_target("labtune_parts:failing")


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("heads", "parts.haed", "unknown head 'parts.haed'. Did you mean 'parts.head'?"),
        ("losses", "focale", "unknown loss 'focale'. Did you mean 'focal'?"),
    ],
)
def test_an_unknown_component_names_the_nearest(kind, name, message):
    with pytest.raises(PluginError) as caught:
        load_catalog().component(kind, name)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("labtune_parts", "is not of the form 'module:attribute'"),
        ("labtune_parts:", "is not of the form 'module:attribute'"),
        ("no_such_module:Head", "cannot be imported: No module named 'no_such_module'"),
        ("labtune_parts:Haed", "has no attribute 'Haed'"),
    ],
)
def test_a_wrong_target_is_told(target, message):
    with pytest.raises(PluginError) as caught:
        resolve(target)
    assert message in str(caught.value)


def test_a_target_may_be_nested():
    assert resolve("labtune_parts:Head.__init__").__name__ == "__init__"
