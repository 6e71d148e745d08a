"""ESM's layers with a fused GELU compute what transformers' own do."""

from __future__ import annotations

import torch
from transformers import EsmConfig, EsmModel

from labtune.encoder.esm import FusedIntermediate, fuse_gelu


def small_esm():
    config = EsmConfig(
        vocab_size=33,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        pad_token_id=1,
        mask_token_id=32,
        position_embedding_type="rotary",
    )
    torch.manual_seed(0)
    return EsmModel(config, add_pooling_layer=False).eval()


def test_fused_layers_give_the_same_states_and_gradients():
    plain, fused = small_esm(), small_esm()
    fuse_gelu(fused)
    swapped = [module for module in fused.modules() if isinstance(module, FusedIntermediate)]
    assert len(swapped) == 2
    tokens = torch.randint(4, 24, (2, 17), generator=torch.Generator().manual_seed(0))
    outputs = [model(tokens).last_hidden_state for model in (plain, fused)]
    assert torch.allclose(*outputs, atol=1e-6)
    for output in outputs:
        output.square().mean().backward()
    pairs = zip(plain.named_parameters(), fused.named_parameters(), strict=True)
    compared = [(one.grad, other.grad) for (_, one), (_, other) in pairs if one.grad is not None]
    assert len(compared) > 20
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in compared)
