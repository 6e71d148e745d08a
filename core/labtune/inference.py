"""Predictions for tokenised records: sorted, packed batches; results in the order of the records.

Several processes share the records and every one gets all predictions.
"""

from __future__ import annotations

from typing import Any

import torch

from labtune.data.batching import shares, token_batches
from labtune.processes import count, gathered, rank
from labtune.protocols import Batch
from labtune.specs import Prediction


@torch.inference_mode()
def predict(
    model: torch.nn.Module, data: Batch, *, batch_tokens: int, device: torch.device | str = "cpu"
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

    Returns
    -------
    list of Prediction
        One a record, in order.
    """
    bare: Any = getattr(model, "module", model)  # processes have unequal numbers of batches, so they must not meet here
    lengths = data.tokens.lengths.numpy()
    share = shares(range(len(data)), lengths, count())[rank()]
    found: dict[int, Prediction] = {}
    was_training = bare.training
    bare.eval()
    try:
        for rows in token_batches(share, lengths, batch_tokens):
            batch = data.select(rows).to(device)
            found.update(zip(rows, bare.head.decode(bare(batch), batch), strict=True))
    finally:
        bare.train(was_training)
    everything = gathered(found)
    return [everything[row] for row in range(len(data))]
