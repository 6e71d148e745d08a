"""The report as a browser lays it out: nothing hidden, clipped or faint, on a desk or a phone, by day or night."""

import html
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from labtune.evaluation.report import write_report
from labtune.evaluation.report.writing import write_reports

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
WIDTHS = {"desk": 1280, "phone": 360}
SCHEMES = ("light", "dark")

# Looks into every frame, and writes what it finds as JSON into the page.
SCRIPT = """
function colour(text) {
  const found = text.match(/[0-9.]+/g).map(Number);
  const scale = text.startsWith("color(") ? 1 : 255;
  return {rgb: found.slice(0, 3).map(part => part / scale), alpha: found.length > 3 ? found[3] : 1};
}
function behind(element) {
  for (; element; element = element.parentElement) {
    const own = colour(getComputedStyle(element).backgroundColor);
    if (own.alpha > 0.99) return own.rgb;
  }
  return [1, 1, 1];
}
function luminance(rgb) {
  const [r, g, b] = rgb.map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}
function says(element) {
  return [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
}
function look(frame) {
  const page = frame.contentDocument, found = {faint: [], tiny: [], clipped: [], crossed: [], overflow: []};
  const root = page.documentElement;
  found.dark = luminance(behind(page.body)) < 0.2;
  found.sideways = root.scrollWidth - root.clientWidth;
  for (const element of page.body.querySelectorAll("*")) {
    if (!says(element) || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const ink = element instanceof frame.contentWindow.SVGElement ? style.fill : style.color;
    const ratio = contrast(colour(ink).rgb, behind(element.closest("svg") || element));
    if (ratio < 4.5) found.faint.push([element.textContent.trim().slice(0, 40), ratio]);
    const plot = element.closest("svg");
    const scale = plot ? plot.getBoundingClientRect().width / plot.viewBox.baseVal.width : 1;
    if (parseFloat(style.fontSize) * scale < 9) found.tiny.push(element.textContent.trim());
    const box = element.getBoundingClientRect();
    if (box.right > root.clientWidth + 1 && !element.closest(".wide, pre, .hidden"))
      found.overflow.push(element.textContent.trim().slice(0, 40));
  }
  for (const plot of page.querySelectorAll("svg.plot")) {
    const edge = plot.viewBox.baseVal, texts = [...plot.querySelectorAll("text")].map(text => [text, text.getBBox()]);
    for (const [text, box] of texts)
      if (box.x < -1 || box.y < -1 || box.x + box.width > edge.width + 1 || box.y + box.height > edge.height + 1)
        found.clipped.push(text.textContent);
    texts.forEach(([one, a], index) => texts.slice(index + 1).forEach(([other, b]) => {
      const wide = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
      const high = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
      if (wide > 1 && high > 3) found.crossed.push([one.textContent, other.textContent]);
    }));
  }
  return found;
}
window.onload = () => {
  const frames = [...document.querySelectorAll("iframe")].map(frame => [frame.title, look(frame)]);
  document.body.innerHTML = "<pre id=found></pre>";
  document.body.firstChild.textContent = JSON.stringify(Object.fromEntries(frames));
};
"""


def example_runs():
    """The runs of the other report tests, which are no package."""
    path = Path(__file__).with_name("test_report.py")
    spec = importlib.util.spec_from_file_location("report_runs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.RUNS


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the browser finds on each page, by page, width and scheme: one start for all of them."""
    folder = tmp_path_factory.mktemp("pages")
    runs = {name: make(folder / name) for name, make in example_runs().items()}
    pages = {name: write_report(run).read_text() for name, run in runs.items()}
    again = example_runs()["spans"](folder / "spans-again-with-a-long-name")
    pages["together"] = write_reports([runs["spans"], again], folder / "together.html").read_text()
    frames = [
        f'<iframe title="{name} {device} {scheme}" width="{width}" height="900" style="color-scheme:{scheme};border:0" '
        f'srcdoc="{html.escape(text)}"></iframe>'
        for name, text in pages.items()
        for device, width in WIDTHS.items()
        for scheme in SCHEMES
    ]
    (folder / "all.html").write_text(
        f"<!doctype html><meta charset=utf-8><script>{SCRIPT}</script><body>{''.join(frames)}</body>"
    )
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", (folder / "all.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'<pre id="found">(.*)</pre>', done.stdout, re.DOTALL)
    if found is None:
        pytest.skip(f"Chromium does not start here: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(html.unescape(found[1]))


def told(seen, key):
    return {page: found[key] for page, found in seen.items() if found[key]}


def test_every_page_was_looked_at(seen):
    assert len(seen) == 4 * len(WIDTHS) * len(SCHEMES)
    assert {page for page, found in seen.items() if found["dark"]} == {page for page in seen if page.endswith("dark")}


def test_nothing_lies_beside_the_page(seen):
    assert told(seen, "sideways") == {}
    assert told(seen, "overflow") == {}


def test_all_text_can_be_read(seen):
    assert told(seen, "tiny") == {}
    assert told(seen, "faint") == {}


def test_the_words_of_plots_are_whole_and_apart(seen):
    assert told(seen, "clipped") == {}
    assert told(seen, "crossed") == {}
