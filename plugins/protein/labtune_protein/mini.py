"""``protein.mini``: where its files are, and the architecture that they hold."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "mini"


def locate() -> str:
    """Return the folder of the shipped encoder."""
    return str(FOLDER)


def write_recipe(folder: Path) -> None:
    """Write configuration and vocabulary without weights: what ``labtune pretrain --weights fresh`` starts from.

    The architecture is ESM-2's (Lin et al. 2023, doi:10.1126/science.ade2574): rotary positions, norms before
    the layers; without its token dropout, so that inputs with and without masks are on one scale.
    """
    from transformers import EsmConfig

    from labtune_protein.vocabulary import LIMIT, SYMBOLS, build

    config = EsmConfig(
        vocab_size=len(SYMBOLS),
        pad_token_id=SYMBOLS.index("<pad>"),
        mask_token_id=SYMBOLS.index("<mask>"),
        hidden_size=224,
        num_hidden_layers=12,
        num_attention_heads=7,
        intermediate_size=896,
        max_position_embeddings=LIMIT + 2,
        position_embedding_type="rotary",
        token_dropout=False,
        layer_norm_eps=1e-5,
        emb_layer_norm_before=False,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    config.save_pretrained(folder)
    build().save_pretrained(folder)
