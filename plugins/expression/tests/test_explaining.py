"""Explanations of sequences: mutagenesis is predicting mutants, gradients start from N, variants take any spelling."""

import json

import numpy as np
import pytest
import torch

import labtune
from labtune.cli import main
from labtune.encoder.fading import FADE
from labtune.explain.attribution import by_gradients, by_substitution
from labtune.explain.scoring import Scorer
from labtune.ragged import Ragged
from labtune.specs import Labels, Record
from labtune_expression.alphabet import UNKNOWN, encode
from labtune_expression.conv import ConvEncoder
from labtune_expression.rotary import RotaryEncoder
from labtune_expression.tokenizers import KmerTokenizer

SEQUENCE = "ACGTTGCATGACCGTATAAAGGCCTTAGCA"
SETTINGS = {"encoder_options": {"width": 8, "motifs": 16, "blocks": 1}, "epochs": 1, "audit": "off"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return labtune.run("expression.promoter", out=tmp_path_factory.mktemp("r") / "run", **SETTINGS).folder


@pytest.fixture(scope="module")
def scorer(run):
    return Scorer(labtune.load(run))


def test_mutagenesis_is_predicting_every_mutant(run, scorer):
    (found,) = by_substitution(scorer, Record("p", SEQUENCE), None)
    assert (found.symbols, found.output) == (tuple("ACGT"), "value")
    predictor = labtune.load(run)
    places = [0, 13, 29]
    mutants = [SEQUENCE[:place] + base + SEQUENCE[place + 1 :] for place in places for base in "ACGT"]
    numbers = np.array([one.value for one in predictor.predict([SEQUENCE, *mutants])])
    effects = (numbers[1:] - numbers[0]).reshape(3, 4)
    np.testing.assert_allclose(found.effects[places], effects, atol=1e-5)
    np.testing.assert_allclose(found.attributions[places], -effects.sum(1) / 3, atol=1e-5)
    assert found.score == pytest.approx(numbers[0], abs=1e-5)


def test_gradients_add_up_to_the_way_from_n(scorer):
    pytest.importorskip("captum")
    (found,) = by_gradients(scorer, Record("p", SEQUENCE), None, steps=100)
    blank = scorer.score_records([Record("n", "N" * len(SEQUENCE))])[0, 0]
    assert found.attributions.sum() == pytest.approx(found.score - blank, rel=2e-2, abs=2e-3)
    assert found.pieces == tuple(SEQUENCE)


@torch.no_grad()
@pytest.mark.parametrize("strands", ["both", "forward"])
def test_a_letter_that_is_gone_is_n_on_both_strands(strands):
    torch.manual_seed(0)
    encoder = ConvEncoder(width=8, motifs=16, blocks=1, strands=strands).eval()
    ids = Ragged.from_rows([encode(one, "here") for one in (SEQUENCE, "ACGGT")], dtype=torch.long)
    gone = torch.rand(len(ids.values)) < 0.3
    found = encoder({"input_ids": ids, FADE: ids.with_values(gone.float())}).values
    expected = encoder({"input_ids": ids.with_values(ids.values.masked_fill(gone, UNKNOWN))}).values
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_letters_of_a_transformer_fade_on_the_strand_that_is_read():
    """With everything gone neither the letters nor their strand are left, so every sequence is the same."""
    torch.manual_seed(0)
    encoder = RotaryEncoder(width=16, layers=1, heads=2).eval()
    ids = Ragged.from_rows([encode(one, "here") for one in ("ACGTA", "TTGCA")], dtype=torch.long)
    gone = encoder({"input_ids": ids, FADE: ids.with_values(torch.ones(10))})
    torch.testing.assert_close(gone[0], gone[1], rtol=1e-4, atol=1e-5)
    here = encoder({"input_ids": ids, FADE: ids.with_values(torch.zeros(10))})
    torch.testing.assert_close(here.values, encoder({"input_ids": ids}).values)


def test_pieces_of_kmers():
    tokenizer = KmerTokenizer(None, Labels(kind="values", names=("value",)), k=4, stride=2)
    record = Record("p", "ACGTACG")
    assert tokenizer.pieces(record) == ["ACGT", "GTAC"]
    assert len(tokenizer([record]).tokens.values) == 2


def test_the_command_draws_logos_and_scores_variants(run, tmp_path, capsys):
    file, changes = tmp_path / "p.fasta", tmp_path / "v.csv"
    file.write_text(f">p1\n{SEQUENCE}\n")
    changes.write_text("id,position,ref,alt\np1,4,u,c\np1,1,ACG,-\n")
    assert main(["explain", str(run), str(file)]) == 0
    page = (tmp_path / "p.fasta.explained.html").read_text()
    assert page.count('<svg class="plot logo"') == 1
    assert main(["explain", str(run), str(file), "--variants", str(changes)]) == 0
    rows = [json.loads(line) for line in (tmp_path / "v.csv.effects.jsonl").read_text().splitlines()]
    numbers = [one.value for one in labtune.load(run).predict([SEQUENCE, "ACGC" + SEQUENCE[4:], SEQUENCE[3:]])]
    assert [row["difference"] for row in rows] == pytest.approx(
        [number - numbers[0] for number in numbers[1:]], abs=1e-5
    )
    assert all(row["spread"] > 0 for row in rows)
    changes.write_text("id,position,ref,alt\np1,4,A,C\n")
    capsys.readouterr()
    assert main(["explain", str(run), str(file), "--variants", str(changes)]) == 2
    assert "v.csv:2: the reference is 'A', but record 'p1' has 'T' at position 4" in capsys.readouterr().err
