"""Local folders shaped as published nucleotide models: the nucleotide transformer's 6-mers, DNABERT-2's subwords."""

import itertools
import json

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, EsmConfig, EsmModel, EsmTokenizer, PreTrainedTokenizerFast

from labtune.catalog import load_catalog
from labtune.encoder.loading import load_encoder
from labtune.errors import DataError, EncoderError, SettingsError
from labtune.specs import Labels, Record
from labtune_expression.tokenizers import NucleotideTokenizer, SubwordTokenizer

LABELS = Labels(kind="values", names=("value",))
SIZE = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
SPECIAL = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]


def six_mers(folder):
    words = ["".join(letters) for letters in itertools.product("ATCG", repeat=6)]
    vocabulary = ["<unk>", "<pad>", "<mask>", "<cls>", *words, *"ATCGN"]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    EsmTokenizer(str(folder / "vocab.txt"), eos_token=None).save_pretrained(folder)
    rotary = {"position_embedding_type": "rotary", "token_dropout": False, "max_position_embeddings": 64}
    config = EsmConfig(vocab_size=len(vocabulary), pad_token_id=1, mask_token_id=2, **SIZE, **rotary)
    EsmModel(config, add_pooling_layer=False).save_pretrained(folder)


def subwords(folder):
    bpe = Tokenizer(models.BPE(unk_token="[UNK]"))
    bpe.pre_tokenizer = pre_tokenizers.Whitespace()
    bpe.train_from_iterator(["ACGTACGTTTGACA", "TTGACATATAAT"] * 5, trainers.BpeTrainer(special_tokens=SPECIAL))
    bpe.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    names = dict(zip(("unk_token", "cls_token", "sep_token", "pad_token", "mask_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=bpe, **names).save_pretrained(folder)
    BertModel(BertConfig(vocab_size=bpe.get_vocab_size(), **SIZE), add_pooling_layer=False).save_pretrained(folder)


@pytest.fixture(params=[six_mers, subwords])
def encoder(request, tmp_path):
    torch.manual_seed(0)
    request.param(tmp_path / "model")
    return load_encoder(str(tmp_path / "model"), load_catalog()).eval()


@torch.no_grad()
def test_sequences_go_through_the_model_s_own_vocabulary(encoder):
    tokenizer = SubwordTokenizer(encoder.tokenizer, LABELS)
    batch = tokenizer([Record("1", "ACGTACGTTTGACA"), Record("2", "uugaca")])
    rows = [encoder.tokenizer.convert_ids_to_tokens(row.tolist()) for row in batch.tokens]
    inner = [row[batch.prefix : len(row) - batch.suffix] for row in rows]
    assert ["".join(row) for row in inner] == ["ACGTACGTTTGACA", "TTGACA"]
    assert max(len(word) for word in inner[0]) > 1
    assert encoder(batch.inputs).values.shape == (len(batch.tokens.values), 16)


def test_letters_are_checked_before_the_vocabulary_sees_them(encoder):
    with pytest.raises(DataError, match="'X' at position 3 is no nucleotide"):
        SubwordTokenizer(encoder.tokenizer, LABELS)([Record("1", "ACXT")])
    with pytest.raises(SettingsError, match=r"expression\.subwords"):
        NucleotideTokenizer(encoder.tokenizer, LABELS)


def test_a_folder_that_brings_code_is_refused(tmp_path):
    subwords(tmp_path / "model")
    path = tmp_path / "model/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "auto_map": {"AutoModel": "bert_layers.BertModel"}}))
    with pytest.raises(EncoderError, match="auto_map"):
        load_encoder(str(tmp_path / "model"), load_catalog())
