"""Predictions for tokenised records: sorted, packed batches; results in the order of the records.

Several processes share the records and every one gets all predictions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from labtune.data.batching import shares, token_batches
from labtune.processes import count, gathered, rank
from labtune.protocols import Batch, Output
from labtune.specs import Prediction


def predict(
    model: torch.nn.Module,
    data: Batch,
    *,
    batch_tokens: int,
    device: torch.device | str = "cpu",
    temperature: float = 1.0,
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
    temperature
        What scores are divided by before they are decoded.

    Returns
    -------
    list of Prediction
        One a record, in order.
    """
    head = _bare(model).head
    share = shares(range(len(data)), data.tokens.lengths.numpy(), count())[rank()]
    found: dict[int, Prediction] = {}
    with torch.inference_mode():
        for rows, batch, output in outputs(model, data, share, batch_tokens=batch_tokens, device=device):
            found.update(zip(rows, head.decode(tempered(head, output, temperature), batch), strict=True))
    everything = gathered(found)
    return [everything[row] for row in range(len(data))]


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


def tempered(head: Any, output: Output, temperature: float) -> Output:
    """Divide the scores by a temperature: the logits, or what the head's own ``tempered`` says."""
    if temperature == 1:
        return output
    own: Any = getattr(head, "tempered", None)
    if own is not None:
        return own(output, temperature)  # type: ignore[no-any-return]
    return Output(output.logits.with_values(output.logits.values / temperature), output.extras)


def _bare(model: torch.nn.Module) -> Any:
    return getattr(model, "module", model)
