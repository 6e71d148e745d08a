"""The vocabulary of ``protein.mini``: one token a residue, in the order of ESM-2's alphabet."""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

SYMBOLS = ("<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>")
LIMIT = 1026  # 1,024 residues and two special tokens


def build() -> PreTrainedTokenizerFast:
    """Make the tokenizer: every character is a token, between ``<cls>`` and ``<eos>``."""
    ids = {symbol: index for index, symbol in enumerate(SYMBOLS)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))  # noqa: S106  a token of a vocabulary, no secret
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<cls> $A <eos>",
        pair="<cls> $A <eos> $B <eos>",
        special_tokens=[(name, ids[name]) for name in ("<cls>", "<eos>")],
    )
    names = {f"{role}_token": f"<{role}>" for role in ("cls", "pad", "eos", "unk", "mask")}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LIMIT, **names)
