"""Predictions for tokenised records: sorted, packed batches; results in the order of the records.

Several processes share the records and every one gets all predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import torch

from labtune.data.batching import shares, token_batches
from labtune.processes import count, gathered, rank
from labtune.protocols import Batch, Output
from labtune.specs import Prediction

Adjust: TypeAlias = Callable[[Any, Output], Output]  # from a head and what it computed to what it shall decode


def predict(
    model: torch.nn.Module,
    data: Batch,
    *,
    batch_tokens: int,
    device: torch.device | str = "cpu",
    adjust: Adjust | None = None,
) -> list[Prediction]:
    """Predict every record of a tokenised data set; every process of a run must call it.

    Parameters
    ----------
    model
        A model, bare or prepared by accelerate; its training mode is put back afterwards.
    data
        The records.
    batch_tokens
        Tokens a forward pass.
    device
        Where the model is.
    adjust
        What becomes of the head's output before it is decoded, such as a calibration.

    Returns
    -------
    list of Prediction
        One a record, in order.
    """
    share = shares(range(len(data)), data.tokens.lengths.numpy(), count())[rank()]
    found = predict_rows(model, data, share, batch_tokens=batch_tokens, device=device, adjust=adjust)
    everything = gathered(found)
    return [everything[row] for row in range(len(data))]


def predict_rows(
    model: torch.nn.Module,
    data: Batch,
    rows: Sequence[int],
    *,
    batch_tokens: int,
    device: torch.device | str = "cpu",
    adjust: Adjust | None = None,
) -> dict[int, Prediction]:
    """Predict some rows of a data set in this process alone, by row; see :func:`predict` for the parameters."""
    head = _bare(model).head
    found: dict[int, Prediction] = {}
    with torch.inference_mode():
        for chosen, batch, output in outputs(model, data, rows, batch_tokens=batch_tokens, device=device):
            adjusted = output if adjust is None else adjust(head, output)
            found.update(zip(chosen, head.decode(adjusted, batch), strict=True))
    return found


def outputs(
    model: torch.nn.Module,
    data: Batch,
    rows: Sequence[int],
    *,
    batch_tokens: int,
    device: torch.device | str = "cpu",
) -> Iterator[tuple[list[int], Batch, Output]]:
    """Yield what the head computes for some rows of a data set, in batches: the rows, the batch and the output."""
    bare = _bare(model)  # processes have unequal numbers of batches, so they must not meet here
    was_training = bare.training
    bare.eval()
    try:
        for chosen in token_batches(rows, data.tokens.lengths.numpy(), batch_tokens):
            batch = data.select(chosen).to(device)
            with torch.inference_mode():
                output = bare(batch)
            yield chosen, batch, output
    finally:
        bare.train(was_training)


def _bare(model: torch.nn.Module) -> Any:
    return getattr(model, "module", model)
