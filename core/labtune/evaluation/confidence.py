"""What a run knows about its own confidence, kept in ``model/calibration.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from labtune.errors import RunError
from labtune.evaluation.calibration import Temperature
from labtune.evaluation.conformal import Conformal, mark
from labtune.folder import write_json
from labtune.specs import Labels, Prediction

CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True, slots=True)
class Confidence:
    """How scores are tempered, and from which confidence on the model answers.

    Parameters
    ----------
    temperature
        For :func:`labtune.inference.predict`.
    conformal
        None where nothing was calibrated: without validation data, or without probabilities.
    """

    temperature: Temperature = field(default_factory=Temperature)
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
            return cls(Temperature(**content["temperature"]), conformal)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{path}: the calibration cannot be read; the run folder is damaged") from error
