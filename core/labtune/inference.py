"""Predictions for tokenised records: sorted, packed batches; results in the order of the records."""

from __future__ import annotations

from typing import Any, cast

import torch

from labtune.data.batching import token_batches
from labtune.protocols import Batch
from labtune.specs import Prediction


@torch.inference_mode()
def predict(
    model: torch.nn.Module, data: Batch, *, batch_tokens: int, device: torch.device | str = "cpu"
) -> list[Prediction]:
    """Predict every record of a tokenised data set.

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

    Returns
    -------
    list of Prediction
        One a record, in order.
    """
    head = cast("Any", getattr(model, "module", model)).head
    lengths = data.tokens.lengths.numpy()
    found: list[Prediction | None] = [None] * len(data)
    was_training = model.training
    model.eval()
    try:
        for rows in token_batches(range(len(data)), lengths, batch_tokens):
            batch = data.select(rows).to(device)
            for row, prediction in zip(rows, head.decode(model(batch), batch), strict=True):
                found[row] = prediction
    finally:
        model.train(was_training)
    return cast("list[Prediction]", found)
