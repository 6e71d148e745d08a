"""Secondary structure states: the eight of DSSP, and the three that most work predicts."""

from __future__ import annotations

from labtune.errors import SettingsError

EIGHT = ("H", "G", "I", "E", "B", "T", "S", "C")  # helices alpha, 3-10 and pi; strand, bridge; turn, bend, coil
THREE = ("H", "E", "C")  # helix, strand, coil
NAMES = {"H": "helix", "E": "strand", "C": "coil"}
COIL = "-_ L~CP"  # how files write coil; P is the poly-proline helix of newer DSSP
UNRESOLVED = "XxZz?"  # no coordinates, so no state
_TO_THREE = {"H": "H", "G": "H", "I": "H", "E": "E", "B": "E"}


def read_states(written: str, count: int) -> list[str | None]:
    """Read one state a residue.

    Parameters
    ----------
    written
        DSSP letters.
    count
        3 joins the helices, strand with bridge, and everything else as coil; 8 keeps DSSP's own.

    Returns
    -------
    list
        State names, None where the residue is unresolved.

    Raises
    ------
    ValueError
        For a letter that is no state.
    SettingsError
        If the count is neither 3 nor 8.
    """
    if count not in (3, 8):
        raise SettingsError(f"reader option states is {count}; it is 3 or 8")
    return [_read_state(letter, count, position) for position, letter in enumerate(written)]


def _read_state(letter: str, count: int, position: int) -> str | None:
    if letter in UNRESOLVED:
        return None
    state = "C" if letter in COIL else letter.upper()
    if state not in EIGHT:
        raise ValueError(f"has {letter!r} at position {position + 1}, which is no secondary structure state")
    return state if count == 8 else _TO_THREE.get(state, "C")
