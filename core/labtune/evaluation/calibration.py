"""How a run makes its confidence mean what it says: a temperature, or a finer rescaling where data show it is better.

The rescalings are tried where validation data have enough of every class. Each is fitted without a fold and measured on
it, as the temperature is; one is taken when its log loss is lower than the temperature's by more than a standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from labtune.data.batching import stable_seed
from labtune.evaluation.intervals import units_of
from labtune.evaluation.rescaling import (
    Array,
    Isotonic,
    Rescaling,
    Scored,
    Vector,
    fit_isotonic,
    fit_vector,
    probabilities,
    scored,
)
from labtune.evaluation.temperature import RANGE, Temperature, fit_temperature, tempered
from labtune.inference import outputs
from labtune.protocols import Batch, Output

ENOUGH = 2000  # records: a few numbers need no more
MOST = 50_000  # units of these records, for the rescalings
LEAST = {"vector": 20, "isotonic": 100}  # true and false cases of each class
FOLDS = 5

Fit = Callable[[Scored, float], Rescaling]
FITS: Mapping[str, Fit] = {"vector": fit_vector, "isotonic": fit_isotonic}
KINDS: Mapping[str, type[Vector] | type[Isotonic]] = {"vector": Vector, "isotonic": Isotonic}


@dataclass(frozen=True, slots=True)
class Calibration:
    """What becomes of a head's scores before they are decoded.

    Parameters
    ----------
    temperature
        Used unless there is a rescaling.
    method
        ``temperature``, ``vector`` or ``isotonic``.
    rescaling
        Of the latter two.
    exclusive
        Whether one class is true of each row of logits.
    losses
        Log loss a target of each method that was tried, on folds that it was not fitted on.
    """

    temperature: Temperature = field(default_factory=Temperature)
    method: str = "temperature"
    rescaling: Vector | Isotonic | None = None
    exclusive: bool = True
    losses: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, head: Any, output: Output) -> Output:
        """Calibrate what a head computed."""
        if self.rescaling is None:
            return tempered(head, output, self.temperature.value)
        values = output.logits.values
        logits = self.rescaling(values.double().cpu().numpy(), exclusive=self.exclusive)
        return Output(output.logits.with_values(torch.from_numpy(logits).to(values)), output.extras)

    @property
    def words(self) -> str:
        """Say what is done."""
        if self.rescaling is None:
            return f"a temperature of {self.temperature.value:.2f}"
        return {"vector": "vector scaling", "isotonic": "isotonic regression"}[self.method]

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Calibration:
        """Rebuild from what :func:`dataclasses.asdict` returned and JSON kept; raises KeyError and TypeError."""
        values = dict(content)
        values["temperature"] = Temperature(**values["temperature"])
        if values["rescaling"] is not None:
            values["rescaling"] = KINDS[values["method"]](**values["rescaling"])
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Return JSON types."""
        return asdict(self)


def fit_calibration(
    model: torch.nn.Module, valid: Batch, *, batch_tokens: int, device: torch.device | str, seed: int = 0
) -> Calibration:
    """Calibrate on validation data.

    Parameters
    ----------
    model
        Bare or prepared.
    valid
        Tokenised records with targets; at most ``ENOUGH`` of them are drawn.
    batch_tokens, device
        Of the forward passes.
    seed
        Of the draw and the folds.

    Returns
    -------
    Calibration
        One that changes nothing where the head gives no probabilities that lie alongside the targets.
    """
    rows = np.random.default_rng(stable_seed("temperature", seed)).permutation(len(valid))[:ENOUGH].tolist()
    head: Any = getattr(model, "module", model).head
    found = outputs(model, valid, rows, batch_tokens=batch_tokens, device=device)
    kept = [(batch, output) for _, batch, output in found]
    temperature = fit_temperature(head, kept)
    data = read_scores(head, kept) if temperature.records else None
    return Calibration(temperature) if data is None else refine(data, temperature, seed)


def read_scores(head: Any, kept: Sequence[tuple[Batch, Output]]) -> Scored | None:
    """Logits and truth, where the head's probabilities are a softmax or sigmoids of its logits; else None.

    Records of one group have one owner, so that no fold parts them.
    """
    if not hasattr(head, "labels") or hasattr(head, "tempered") or head.labels.kind not in ("classes", "multilabel"):
        return None
    exclusive = head.labels.kind == "classes"
    logits: list[Array] = []
    targets: list[NDArray[np.generic]] = []
    groups: list[str | None] = []
    for batch, output in kept:
        assert batch.targets is not None  # there is a temperature
        rows = [row.double().cpu().numpy() for row in output.logits]
        truth = [target.cpu().numpy() for target in batch.targets]
        alongside = all(len(one) == len(other) for one, other in zip(rows, truth, strict=True))
        if not alongside or not _is_plain(head.decode(output, batch), rows, exclusive):
            return None
        logits, targets = logits + rows, targets + truth
        groups += [record.group for record in batch.records]
    return scored(logits, targets, units_of(groups), exclusive=exclusive)


def _is_plain(predictions: Sequence[Any], logits: Sequence[Array], exclusive: bool) -> bool:
    """Say whether the probabilities of predictions are what their logits give."""
    for prediction, rows in zip(predictions, logits, strict=True):
        told = np.asarray(prediction.probabilities, dtype=float)
        if told.size != rows.size:
            return False
        if not np.allclose(told.reshape(rows.shape), probabilities(rows, exclusive=exclusive), atol=1e-4):
            return False
    return True


def refine(data: Scored, temperature: Temperature, seed: int = 0) -> Calibration:
    """Choose between the temperature and the rescalings for which there are enough data.

    Parameters
    ----------
    data
        Logits and truth.
    temperature
        The one of all the data.
    seed
        Of the folds.
    """
    if len(data.logits) > MOST:
        chosen = np.random.default_rng(stable_seed("units", seed)).permutation(len(data.logits)) < MOST
        data = data.at(chosen)
    positive, known = np.nansum(data.truth, axis=0), (~np.isnan(data.truth)).sum(0)
    cases = int(np.minimum(positive, known - positive).min())
    records = len(np.unique(data.owner))
    tried = [name for name, least in LEAST.items() if cases >= least and records >= least]
    if not tried:
        return Calibration(temperature)
    losses = cross_fitted(data, tried, seed)  # (records,) of each
    best, least = "temperature", np.inf
    for name in tried:
        gains = losses["temperature"] - losses[name]
        error = gains.std(ddof=1) * np.sqrt(len(gains))  # of the sum
        if gains.sum() > error and losses[name].sum() < least:
            best, least = name, losses[name].sum()
    told = {name: float(some.sum()) / len(data.logits) for name, some in losses.items()}
    if best == "temperature":
        return Calibration(temperature, losses=told)
    rescaling: Any = FITS[best](data, temperature.value)
    return Calibration(temperature, best, rescaling, data.exclusive, told)


def cross_fitted(data: Scored, names: Sequence[str], seed: int = 0) -> dict[str, Array]:
    """Log loss of each record under the temperature and the named rescalings, fitted on the other folds.

    Returns
    -------
    dict
        For ``temperature`` and each name ``(records,)``: sums over the targets of a record.
    """
    owners, owner = np.unique(data.owner, return_inverse=True)
    fold_of = np.random.default_rng(stable_seed("folds", seed)).permutation(len(owners)) % FOLDS
    found = {name: np.zeros(len(owners)) for name in ("temperature", *names)}
    for fold in range(FOLDS):
        asked = fold_of[owner] == fold
        known, unseen = data.at(~asked), data.at(asked)
        temperature = likeliest_temperature(known)
        maps: dict[str, Rescaling] = {name: FITS[name](known, temperature) for name in names}
        for name in found:
            logits = (
                unseen.logits / temperature
                if name == "temperature"
                else maps[name](unseen.logits, exclusive=data.exclusive)
            )
            found[name] += np.bincount(owner[asked], unseen.losses(logits), minlength=len(owners))
    return found


def likeliest_temperature(data: Scored) -> float:
    """Fit a temperature to logits, with the prior of :func:`labtune.evaluation.temperature.fit_temperature`."""

    def loss(logarithm: float) -> float:
        return float(data.losses(data.logits / np.exp(logarithm)).sum()) + logarithm**2 / 2

    return float(np.exp(minimize_scalar(loss, bounds=np.log(RANGE), method="bounded", options={"xatol": 1e-2}).x))
