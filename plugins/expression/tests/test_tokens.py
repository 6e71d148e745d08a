"""Sets of genes: orders and bins worked by hand, and a network to which the order of tokens is no matter."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import labtune
from labtune.encoder.built import Origin
from labtune.encoder.loading import load_encoder
from labtune.errors import DataError, RunError, SettingsError
from labtune.explain.attribution import by_substitution
from labtune.explain.scoring import Scorer
from labtune.ragged import Ragged
from labtune.specs import Labels, Record
from labtune_expression.cells.data import examples
from labtune_expression.cells.profile import Genes, Profile
from labtune_expression.cells.tokens import BinTokenizer, GeneTokens, RankTokenizer
from labtune_expression.cells.transformer import SetEncoder
from labtune_expression.cells.vocabulary import GeneVocabulary

LABELS = Labels(kind="classes", names=("a", "b"))
LOGS = np.array([[3, 0, 1, 0.5], [1, 2, 0, 0.5], [0, 4, 3, 0.5]], dtype=np.float32)


def cells(matrix=LOGS, state="log", names=("A", "B", "C", "D")):
    genes = Genes(tuple(names), state)
    return [Record(f"c{row}", Profile.of(genes, values), "a", source=f"f:{row}") for row, values in enumerate(matrix)]


def fitted(kind, **options):
    tokenizer = kind(None, LABELS, **options)
    tokenizer.fit(cells())
    return tokenizer


def names_of(tokenizer, tokens):
    return ["-" if token < 2 else tokenizer.vocabulary.genes.names[token - 2] for token in tokens.tolist()]


def test_genes_are_ranked_by_what_is_typical_of_them():
    tokenizer = fitted(RankTokenizer)  # D does not vary; typical: A 2, B 3, C 2
    batch = tokenizer(cells())
    assert [names_of(tokenizer, row) for row in batch.tokens] == [
        ["-", "A", "C"],  # 1.5, 0.5
        ["-", "B", "A"],  # 0.67, 0.5
        ["-", "C", "B"],  # 1.5, 1.33
    ]
    assert batch.prefix == 1
    short = fitted(RankTokenizer, length=1)(cells())
    assert names_of(tokenizer, short.tokens[0]) == ["-", "A"]


def test_values_are_binned_by_quantiles_of_training_cells():
    tokenizer = fitted(BinTokenizer, bins=2)  # values 3 1 1 2 4 3: the median is 2.5
    batch = tokenizer(cells())
    assert [names_of(tokenizer, row) for row in batch.tokens] == [["-", "A", "C"], ["-", "B", "A"], ["-", "B", "C"]]
    assert [row.tolist() for row in batch.inputs["levels"]] == [[0, 2, 1], [0, 1, 1], [0, 2, 2]]


@pytest.mark.parametrize("kind", [RankTokenizer, BinTokenizer])
def test_what_was_learned_comes_back(kind):
    first, second = fitted(kind), kind(None, LABELS)
    with pytest.raises(RunError, match="not seen training data"):
        second(cells())
    second.restore(first.state())
    for name, ragged in first(cells()).inputs.items():
        assert torch.equal(ragged.values, second(cells()).inputs[name].values)


def test_scaled_values_are_refused():
    with pytest.raises(DataError, match=r"f:0: tokenizer 'expression.ranks' needs counts or log-normalised"):
        fitted(RankTokenizer)(cells(state="scaled"))


def test_a_cell_without_known_genes_is_still_a_record():
    batch = fitted(BinTokenizer)(cells(np.array([[0, 0, 0, 2.0]], dtype=np.float32)))
    assert batch.tokens.values.tolist() == [0]
    assert SetEncoder(genes=3, width=8, heads=2)(batch.inputs).values.isfinite().all()


def test_ranks_become_equal_steps():
    encoder = SetEncoder(genes=9, width=8, heads=2, levels=4)
    tokens = Ragged.from_rows([[0, *range(2, 10)], [0, 5, 6], [0]], dtype=torch.long)
    assert encoder._ranks(tokens).tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 0, 1, 3, 0]


def test_the_order_of_a_set_and_its_company_are_no_matter():
    torch.manual_seed(0)
    encoder = SetEncoder(genes=9, width=8, heads=2, levels=4).eval()
    rows, levels = [[0, 5, 6, 7], [0, 3]], [[0, 1, 2, 3], [0, 4]]

    def states(order):
        tokens = Ragged.from_rows([[rows[0][place] for place in order], rows[1]], dtype=torch.long)
        bins = Ragged.from_rows([[levels[0][place] for place in order], levels[1]], dtype=torch.long)
        return encoder({"input_ids": tokens, "levels": bins})

    first, second = states([0, 1, 2, 3]), states([0, 3, 1, 2])
    torch.testing.assert_close(first[0], second[0][[0, 2, 3, 1]])
    alone = {"input_ids": Ragged.from_rows([rows[1]]), "levels": Ragged.from_rows([levels[1]])}
    torch.testing.assert_close(encoder(alone)[0], first[1])


def test_sizes_that_do_not_fit_are_named():
    tokens = Ragged.from_rows([[0, 5]], dtype=torch.long)
    with pytest.raises(SettingsError, match=r"more genes than encoder_options\.genes"):
        SetEncoder(genes=3, width=8, heads=2)({"input_ids": tokens})
    with pytest.raises(SettingsError, match="does not divide"):
        SetEncoder(width=9, heads=2)


def test_the_vocabulary_travels_with_the_weights(tmp_path):
    from labtune.catalog import load_catalog

    options = {"genes": 5, "width": 8, "heads": 2}
    encoder = SetEncoder(**options)
    encoder.origin = Origin("expression.set", options)
    encoder.tokenizer = GeneTokens(GeneVocabulary({"names": ["A", "Ä"]}), np.array([1.0, 2.0], dtype=np.float32))
    encoder.save(tmp_path)
    loaded = load_encoder(str(tmp_path), load_catalog())
    assert loaded.tokenizer.genes.names == ("A", "Ä")
    tokenizer = RankTokenizer(loaded.tokenizer, LABELS)
    tokenizer.fit(cells())
    assert tokenizer.vocabulary.genes.names == ("A", "Ä")  # that of the weights, not of these cells
    SetEncoder(**options).load_state_dict(SetEncoder(**options).state_dict())  # without one, too


@pytest.mark.parametrize("preset", ["ranks", "bins"])
def test_genes_are_hidden_one_by_one_for_an_explanation(preset, tmp_path):
    small = {"width": 16, "layers": 1, "heads": 2}
    run = labtune.run(
        "expression.cell_type", preset=preset, epochs=1, audit="off", encoder_options=small, out=tmp_path / "run"
    )
    scorer = Scorer(labtune.load(run.folder))
    record = examples()[0]
    (found,) = by_substitution(scorer, record, None)
    batch = scorer.tokenise([record])
    ids = batch.tokens.values.clone()
    assert list(found.pieces) == [scorer.tokenizer.vocabulary.genes.names[number - 2] for number in ids[1:].tolist()]
    ids[3] = 1  # the mask
    hidden = replace(batch, inputs={**batch.inputs, "input_ids": batch.tokens.with_values(ids)})
    column = scorer.names.index(found.output)
    fall = scorer.score_batch(batch)[0, column] - scorer.score_batch(hidden)[0, column]
    assert found.attributions[2] == pytest.approx(fall, abs=1e-6)
