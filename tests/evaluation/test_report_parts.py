"""The report's small parts: comparing with the baseline, scales of plots, words."""

import re
from importlib.resources import files

import pytest

from labtune.evaluation.report.axes import scale
from labtune.evaluation.report.content import Score, ScoreRow
from labtune.evaluation.report.verdict import compare
from labtune.evaluation.report.words import cell, duration, label


@pytest.mark.parametrize(
    ("model", "baseline", "smaller", "outcome"),
    [
        (Score(0.9, 0.8, 1.0), Score(0.5, 0.4, 0.6), False, "better"),
        (Score(0.9, 0.8, 1.0), Score(0.8, 0.7, 0.9), False, "unclear"),
        (Score(0.5, 0.4, 0.6), Score(0.5, 0.4, 0.6), False, "worse"),
        (Score(0.3, 0.2, 0.4), Score(0.9, 0.8, 1.0), False, "worse"),
        (Score(0.3, 0.2, 0.4), Score(0.9, 0.8, 1.0), True, "better"),
        (Score(0.9, 0.8, 1.0), Score(0.3, 0.2, 0.4), True, "worse"),
        (Score(0.9), Score(0.5), False, "unclear"),
        (Score(0.9, 0.8, 1.0), Score(None), False, "unknown"),
    ],
)
def test_compare(model, baseline, smaller, outcome):
    assert compare(ScoreRow("x", model, baseline, Score(None)), smaller_is_better=smaller) == outcome


@pytest.mark.parametrize("values", [[0, 1], [0.0013, 0.0017], [-3, 12_000], [5], [], [1e-9, 2e-9], [-7, -7]])
def test_scales_hold_their_values_between_round_ends(values):
    axis = scale(values, 0, 100)
    assert all(-1e-6 <= axis(value) <= 100 for value in values)
    assert 3 <= len(axis.ticks) <= 8
    assert axis(axis.ticks[0]) == pytest.approx(0, abs=0.1)
    assert axis(axis.ticks[-1]) == pytest.approx(100, abs=0.1)


def test_words():
    assert [label(name) for name in ("macro_f1", "r2", "p_at_l", "rmse")] == ["macro F1", "R²", "p at l", "RMSE"]
    assert [duration(seconds) for seconds in (0.0172, 2.14, 61, 3725)] == ["17 ms", "2.1 s", "1 min 1 s", "1 h 2 min"]
    cells = {1234: "1,234", 0.5: "0.500", 2e-5: "2e-05", 1e6: "1,000,000", "x": "x", None: "\N{EN DASH}"}
    assert {value: cell(value) for value in cells} == cells
    assert cell(True) == "yes"


def luminance(colour):
    channels = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """Contrast ratio of WCAG 2.2, 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def mixed(share, colour, ground):
    return [share * part + (1 - share) * below for part, below in zip(colour, ground, strict=True)]


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_colours_have_contrast(scheme):
    style = (files("labtune.evaluation.report") / "templates" / "style.css").read_text()
    first, *others = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)
    assert len(others) == 2
    declared = " ".join([first, *others[:scheme][-1:]])
    digits = {name: (value * 2)[:6] for name, value in re.findall(r"--(\w+): #(\w+)", declared)}
    colour = {name: [int(value[at : at + 2], 16) for at in (0, 2, 4)] for name, value in digits.items()}
    for ground in (colour["paper"], colour["wash"]):
        assert min(contrast(colour[name], ground) for name in ("ink", "soft", "accent", "good", "warn", "bad")) >= 4.5
        assert min(contrast(colour[f"s{index}"], ground) for index in range(6)) >= 3
    for name in ("s0", "s1"):  # the darkest shade of a matrix, and the ground of an error
        assert contrast(colour["ink"], mixed(0.45, colour[name], colour["wash"])) >= 4.5
