"""Pages within the report that may run scripts: those alone that an installed package ships, and with no network.

The report's policy names each script by its hash, so no other runs, and the frame is sandboxed: it sees nothing of the
report around it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from labtune.evaluation.sections import Frame, Section

BASE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def policy(sections: Sequence[Section]) -> str:
    """Return the content security policy of a page with these sections."""
    names = dict.fromkeys(name for section in sections if isinstance(section, Frame) for name in section.scripts)
    hashes = [f"'sha256-{_hash(text)}'" for text in map(script, names) if text is not None]
    return f"{BASE}; script-src {' '.join(hashes)}" if hashes else BASE


def document(frame: Frame) -> str:
    """Return the frame's own page: its markup, its data as the element ``data``, and its scripts."""
    texts = [script(name) for name in frame.scripts]
    if None in texts:
        return f"<p>This view needs the package {frame.scripts[texts.index(None)].partition('/')[0]}.</p>"
    data = json.dumps(frame.data, separators=(",", ":")).replace("</", "<\\/")
    parts = [f'<script type="application/json" id="data">{data}</script>']
    parts += [f"<script>{text}</script>" for text in texts]
    return f"<!doctype html><meta charset=utf-8>{frame.body}{''.join(parts)}"


@cache
def script(name: str) -> str | None:
    """Read ``"package/file.js"`` from an installed package; None where it is not there."""
    package, _, file = name.partition("/")
    try:
        text = files(package).joinpath(file).read_text(encoding="utf-8")
    except (ModuleNotFoundError, FileNotFoundError):
        return None
    return text.replace("</script", "<\\/script")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
