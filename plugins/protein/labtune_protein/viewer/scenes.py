"""What the viewer shows: chains with a colour for every residue, by several ways of colouring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from labtune.evaluation.sections import Frame
from labtune_protein.structure.chains import Chain
from labtune_protein.structure.writing import backbone_text

SCRIPTS = ("labtune_protein.viewer/3Dmol-min.js", "labtune_protein.viewer/view.js")
BODY = """<style>
body{font:14px system-ui,sans-serif;margin:0;color:#1c2126}
form{padding:.5rem;display:flex;gap:1rem;flex-wrap:wrap}
#scene{position:relative;width:100%;height:400px}
#key{padding:.3rem .5rem}
#key span{display:inline-block;width:.8em;height:.8em;border-radius:2px}
</style>
<form><label>Chain <select id="chain"></select></label><label>Coloured by <select id="mode"></select></label></form>
<div id="scene" role="img"></div><div id="key"></div>"""
HEIGHT = 490
UNKNOWN = "#d9d9d9"
RIGHT, WRONG = "#7fbf9f", "#d55e00"  # told apart also with colour blindness (after Okabe and Ito 2008)
LOW, HIGH = (0xF0, 0xE4, 0x42), (0x00, 0x3F, 0x72)  # ends of the scale of numbers: yellow to dark blue


@dataclass(frozen=True)
class Scene:
    """One chain.

    Parameters
    ----------
    id
        Of its record.
    pdb
        Its backbone, residues numbered from 1.
    colours
        For each way of colouring, a colour a residue.
    lines
        Pairs of residues, from 1, with a colour.
    """

    id: str
    pdb: str
    colours: Mapping[str, Sequence[str]]
    lines: Sequence[tuple[int, int, str]] = field(default_factory=tuple)

    @classmethod
    def of(
        cls, name: str, chain: Chain, colours: Mapping[str, Sequence[str]], lines: Sequence[tuple[int, int, str]] = ()
    ) -> Scene:
        """Make the scene of a chain."""
        return cls(name, backbone_text(chain, "A"), colours, lines)


def frame(title: str, scenes: Sequence[Scene], legends: Mapping[str, Sequence[tuple[str, str]]], note: str) -> Frame:
    """Put scenes into a section; ``legends`` names the colours of each way of colouring, the first one at the start."""
    data = {"chains": [asdict(scene) for scene in scenes], "legends": legends}
    return Frame(title, BODY, data, SCRIPTS, HEIGHT, note)


def shade(share: float | None) -> str:
    """Colour of a number from 0 to 1; grey for None."""
    if share is None:
        return UNKNOWN
    part = min(max(share, 0.0), 1.0)
    return "#" + "".join(f"{round(low + (high - low) * part):02x}" for low, high in zip(LOW, HIGH, strict=True))
