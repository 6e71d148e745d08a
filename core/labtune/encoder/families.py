"""Which model families run packed, and what each needs to give the numbers of its padded forward pass.

A family is named by ``config.model_type``. To run packed its attention must go through transformers' attention
interface and its ``forward`` must pass keyword arguments on; then a line in ``FAMILIES`` and a case in the parity tests
are all it takes. Any other model runs padded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from labtune.ragged import Ragged

MASKED_IN_TRAINING = 0.15 * 0.8  # share of tokens that ESM's pre-training replaced by <mask>


def from_zero(config: Any) -> int:
    """Positions count from 0: BERT, DistilBERT and every rotary model."""
    return 0


def after_padding(config: Any) -> int:
    """Positions count from the padding index plus one, as in fairseq: RoBERTa and its descendants."""
    return int(config.pad_token_id) + 1


def esm_positions(config: Any) -> int:
    """ESM-1b has learned positions as in RoBERTa; ESM-2 has rotary ones, where only differences count."""
    return from_zero(config) if config.position_embedding_type == "rotary" else after_padding(config)


def esm_embeddings(model: nn.Module, tokens: Ragged, positions: Tensor) -> Tensor:
    """Embed for ESM with ``token_dropout`` scaled by each record's own share of ``<mask>``.

    The model's embedding layer would take that share over the whole row, which here is the whole batch.

    Parameters
    ----------
    model
        An ``EsmModel``.
    tokens
        Token ids ``(N,)``.
    positions
        Positions ``(N,)``.
    """
    layer: Any = model.embeddings
    hidden: Tensor = layer.word_embeddings(tokens.values)  # (N, C)
    if layer.token_dropout:
        masked = tokens.values == layer.mask_token_id
        share = tokens.with_values(masked.float()).mean().index_select(0, tokens.segment_ids)  # (N,)
        scale = (1 - MASKED_IN_TRAINING) / (1 - share)
        hidden = (hidden.masked_fill(masked[:, None], 0.0) * scale[:, None]).to(hidden.dtype)
    if layer.position_embedding_type == "absolute":
        hidden = hidden + layer.position_embeddings(positions)
    if layer.layer_norm is not None:
        hidden = layer.layer_norm(hidden)
    return hidden


@dataclass(frozen=True, slots=True)
class Family:
    """What packing must know about an architecture.

    Parameters
    ----------
    first_position
        The position of a record's first token, from the configuration.
    unused
        Top-level modules that hidden states do not depend on. Without a gradient they would stop distributed training.
    embed
        Replaces the model's own embedding step where that mixes records.
    reserved
        How many of ``max_position_embeddings`` no token can have.
    """

    first_position: Callable[[Any], int] = from_zero
    reserved: Callable[[Any], int] = from_zero
    unused: tuple[str, ...] = ("pooler",)
    embed: Callable[[nn.Module, Ragged, Tensor], Tensor] | None = None


_ROBERTA = Family(first_position=after_padding, reserved=after_padding)
# ESM-2's rotary positions have no hard end; its limit is the length it was trained on, as for ESM-1b.
_ESM = Family(
    first_position=esm_positions, reserved=after_padding, unused=("pooler", "contact_head"), embed=esm_embeddings
)

FAMILIES = {
    "bert": Family(),
    "camembert": _ROBERTA,
    "distilbert": Family(),
    "electra": Family(),
    "esm": _ESM,
    "modernbert": Family(),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
}
