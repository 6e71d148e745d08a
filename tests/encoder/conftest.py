"""Small random models of every family, saved as transformers saves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModel,
    BertConfig,
    CamembertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    EsmConfig,
    ModernBertConfig,
    PreTrainedConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

SIZE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
COMMON = {**SIZE, "vocab_size": 60, "max_position_embeddings": 700, "initializer_range": 0.2}
ESM = {**COMMON, "pad_token_id": 1, "mask_token_id": 32, "token_dropout": True}
CONFIGS: dict[str, PreTrainedConfig] = {
    "bert": BertConfig(**COMMON),
    "roberta": RobertaConfig(**COMMON, pad_token_id=1),
    "xlm-roberta": XLMRobertaConfig(**COMMON, pad_token_id=1),
    "camembert": CamembertConfig(**COMMON, pad_token_id=1),
    "electra": ElectraConfig(**COMMON, embedding_size=16),
    "distilbert": DistilBertConfig(
        dim=32, n_layers=3, n_heads=4, hidden_dim=48, vocab_size=60, max_position_embeddings=700, initializer_range=0.2
    ),
    "esm": EsmConfig(**ESM, position_embedding_type="rotary", emb_layer_norm_before=False),
    "esm-absolute": EsmConfig(**ESM, position_embedding_type="absolute", emb_layer_norm_before=True),
    "modernbert": ModernBertConfig(
        **COMMON, local_attention=16, global_attn_every_n_layers=2, pad_token_id=0, cls_token_id=2, sep_token_id=3,
        bos_token_id=2, eos_token_id=3,
    ),
}  # fmt: skip
UNKNOWN = DebertaV2Config(**COMMON, relative_attention=True, pos_att_type=["p2c", "c2p"])


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a family's random model."""
    folders: dict[str, Path] = {}

    def folder_of(family: str) -> Path:
        if family not in folders:
            folders[family] = tmp_path_factory.mktemp(family)
            config = UNKNOWN if family == "deberta-v2" else CONFIGS[family]
            with torch.random.fork_rng():
                torch.manual_seed(3)
                AutoModel.from_config(config).save_pretrained(folders[family])
        return folders[family]

    return folder_of
