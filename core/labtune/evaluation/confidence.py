"""What a run knows about its own confidence, kept in ``model/calibration.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from labtune.errors import RunError
from labtune.evaluation.calibration import Calibration
from labtune.evaluation.conformal import Conformal, mark
from labtune.evaluation.sections import Section, Table
from labtune.folder import write_json
from labtune.specs import Labels, Prediction

CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True, slots=True)
class Confidence:
    """How scores are calibrated, and from which confidence on the model answers.

    Parameters
    ----------
    calibration
        For :func:`labtune.inference.predict`.
    conformal
        None where nothing was calibrated: without validation data, or without probabilities.
    """

    calibration: Calibration = field(default_factory=Calibration)
    conformal: Conformal | None = None

    def mark(self, predictions: Sequence[Prediction], labels: Labels, coverage: float) -> list[Prediction]:
        """Add sets, intervals and abstentions to predictions; nothing at coverage 0 or without calibration."""
        if not coverage or self.conformal is None:
            return list(predictions)
        return mark(predictions, self.conformal, labels, coverage)

    def save(self, folder: Path) -> None:
        """Write beside the model."""
        write_json(folder / CALIBRATION_FILE, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Confidence:
        """Read what :meth:`save` wrote; nothing is calibrated where there is no such file.

        Raises
        ------
        RunError
            If the file is damaged.
        """
        path = folder / CALIBRATION_FILE
        if not path.exists():
            return cls()
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = content["conformal"]
            limits = found and {
                float(level): tuple(math.inf if limit is None else float(limit) for limit in some)
                for level, some in found["thresholds"].items()
            }
            conformal = found and Conformal(found["kind"], found["records"], limits)
            return cls(Calibration.from_json(content["calibration"]), conformal)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{path}: the calibration cannot be read; the run folder is damaged") from error


def coverage_sections(found: Mapping[str, Any]) -> list[Section]:
    """Show what :func:`labtune.evaluation.conformal.realised` measured; nothing where nothing was."""
    if not found:
        return []
    value, low, high = (found["realised"][end] for end in ("value", "low", "high"))
    rows = [
        ["promised", found["target"]],
        ["realised on test data", value],
        ["95% interval of it", f"{low:.3f} to {high:.3f}"],
        ["answered without abstaining", found["answered"]],
        *([name.replace("_", " "), found[name]] for name in ("mean_set_size", "width") if _is_number(found.get(name))),
        ["validation records, or groups, calibrated on", found["calibrated_on"]],
    ]
    note = f"Coverage: how often {found['meaning']}. It holds on average over records like the validation records."
    return [Table("Coverage", ("", "value"), rows, note)]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
