"""What families of sequences teach: the evidence of the recipes, learning from chances, and what ships."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from labtune.protocols import Output
from labtune.ragged import Ragged
from labtune.specs import Labels, Record, Span
from labtune_protein.contacts import read_contacts
from labtune_protein.letters import Letters
from labtune_protein.pairs.baselines import fit_hydropathy
from labtune_protein.pairs.head import PairHead
from labtune_protein.pairs.metrics import ContactPrecision
from labtune_protein.pairs.tokenizing import PairTokenizer

LABELS = Labels(kind="spans", names=("contact",))


def test_alignments_are_read_column_by_column(recipe):
    columns, places = recipe("alignments").aligned({"qstart": "3", "tstart": "1", "cigar": "2M1I1M2D2M"})
    assert columns.tolist() == [2, 3, 5, 6, 7]
    assert places.tolist() == [0, 1, 2, 5, 6]


def test_a_family_is_believed_over_one_sequence(recipe):
    """Three homologues say strand where the chain has none of its own; a known state decides between even ones."""
    homologues, hit = recipe("homologues"), recipe("alignments").Hit
    strand, coil = np.log([[0.1, 0.8, 0.1]]), np.log([[0.8, 0.1, 0.1]])
    predicted = {"a": strand, "b": np.concatenate([coil, strand]), "c": strand}
    places = {"a": [0], "b": [1], "c": [0]}
    hits = [hit(name, np.array([2]), np.array(place)) for name, place in places.items()]
    agreed = homologues.family_evidence(["C", "H", None, "H"], hits, predicted)
    assert homologues.STATES[int(agreed[2].argmax())] == "E"
    assert [homologues.STATES[int(row.argmax())] for row in agreed[[0, 1, 3]]] == ["C", "H", "H"]
    even = [hit("a", np.array([0]), np.array([0])), hit("b", np.array([0]), np.array([0]))]
    assert homologues.STATES[int(homologues.family_evidence(["E"], even, predicted)[0].argmax())] == "E"
    assert homologues.STATES[int(homologues.family_evidence(["C"], even, predicted)[0].argmax())] == "C"


def test_pairs_are_averaged_where_they_are_aligned(recipe):
    pairs, hit = recipe("pair_families"), recipe("alignments").Hit
    own = np.zeros((4, 4), np.float16)
    other = np.arange(9, dtype=np.float16).reshape(3, 3)
    hits = [hit("a", np.array([0, 3]), np.array([0, 2])), hit("b", np.array([3]), np.array([1]))]
    found = pairs.family_odds(own, hits, {"a": other, "b": other})
    assert found[0, 3] == pytest.approx(2 / 2)
    assert found[3, 0] == pytest.approx(6 / 2)
    assert found[3, 3] == pytest.approx((8 + 4) / 3)
    assert found[1].tolist() == [0, 0, 0, 0]


def test_a_chain_tells_its_homologues_contacts_apart(recipe):
    pairs = recipe("pair_families")
    record = Record("a", "A" * 9, [Span(0, 7, "contact")], columns={"resolved": "111101111"})
    odds = pairs.chain_odds(record)
    assert odds[0, 7] == odds[7, 0] == pytest.approx(np.log(150))
    assert odds[0, 6] == pytest.approx(np.log(0.25 / 0.995))
    assert not odds[4].any()
    assert not odds[:, 4].any()


def test_families_of_chains_and_of_natural_sequences_are_labelled(recipe, tmp_path, monkeypatch):
    """A natural homologue of a chain is cut to the region that aligns, and learns the chain's contact there."""
    pairs, soft = recipe("pair_families"), recipe("soft_pairs")
    chain, homologue = "ACDEFGHIKLMNPQRSTVWY" * 2, "ACDEFGHIKLMNPQRSTVWF" * 2
    one, two = "MKLVACDEFGHIKLNPQRSTVWYAGTSDEKLRVIQANGHMFWPYC", "MKLVACDEFGHIKLNPQRSTVWYAGTSDEKLRVIQANGHMFWPYA"
    (tmp_path / "short.fasta").write_text(f">1\n{one}\n>2\n{two}\n")
    (tmp_path / "natural.fasta").write_text(f">1\n{one}\n>2\n{two}\n>3\nMM{homologue}GG\n")
    near, same = f"2\t0.9\t1\t1\t{len(one)}M\n", f"1\t1\t1\t1\t{len(one)}M\n"
    (tmp_path / "short-hits.tsv").write_text(f"1\t{same}1\t{near}")
    (tmp_path / "chain-hits.tsv").write_text("c\t3\t0.8\t1\t3\t40M\nc\t2\t0.99\t1\t1\t40M\n")
    train = tmp_path / "train.jsonl"
    train.write_text(json.dumps({"id": "c", "sequence": chain, "contacts": [[0, 30]], "resolved": "1" * 40}) + "\n")
    levels = {"1": -2.0, "2": -4.0, "c": -3.0, "3/2-42/c": -5.0}

    def predict(teacher, sequences):
        assert sequences == {"1": one, "2": two, "c": chain, "3/2-42/c": homologue}
        return {name: np.full((len(text),) * 2, levels[name], np.float16) for name, text in sequences.items()}

    monkeypatch.setattr(pairs, "predict", predict)
    monkeypatch.setattr(pairs, "load", lambda folder: None)
    pairs.label(tmp_path, train, tmp_path / "pairs.jsonl")
    natural, region = (json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines())
    assert (natural["sequence"], region["sequence"]) == (one, homologue)
    assert set(soft.unpacked(natural["odds"])) == {-3.0}
    found = dict(zip(zip(*np.triu_indices(40, 1), strict=True), soft.unpacked(region["odds"]), strict=True))
    assert found[0, 30] == pytest.approx(-4 + np.log(150), abs=1e-2)
    assert found[0, 31] == pytest.approx(-4 + np.log(0.25 / 0.995), abs=1e-2)


def test_chances_are_learned_as_they_are(recipe, vocabulary):
    """Log-odds that say what a record's odds say have the least loss; contacts of another record count as certain."""
    soft = recipe("soft_pairs")
    odds = np.random.default_rng(0).normal(size=(9, 9))
    rows = [
        Record("a", "ACDEFGHIK", [], columns={"odds": soft.packed(odds)}),
        Record("b", "ACDEFGHIK", [Span(0, 7, "contact")], columns={"resolved": "1" * 8 + "0"}),
    ]
    batch = soft.SoftPairTokenizer(vocabulary, LABELS)(rows)
    first, second = (dict(zip(zip(*np.triu_indices(9, 1), strict=True), batch.targets[k], strict=True)) for k in (0, 1))
    judged = [(0, 6), (0, 7), (0, 8), (1, 7), (1, 8), (2, 8)]
    assert [pair for pair, value in first.items() if not value.isnan()] == judged
    for pair in judged:
        assert float(first[pair]) == pytest.approx(1 / (1 + np.exp(-odds[pair])), abs=1e-3)
    assert {pair: float(value) for pair, value in second.items() if not value.isnan()} == {
        (0, 6): 0,
        (0, 7): 1,
        (1, 7): 0,
    }
    loss = soft.SoftPairLoss(LABELS)
    assert loss.count(batch) == 9
    part = batch.select([0])
    told = torch.from_numpy(odds[np.triu_indices(9, 1)]).float()

    def scored(shift):
        logits = torch.stack([told + shift, torch.zeros_like(told)], 1)
        return float(loss(Output(Ragged(logits, part.targets.offsets)), part))

    chances = torch.sigmoid(torch.tensor([odds[pair] for pair in judged]))
    entropy = -(chances * chances.log() + (1 - chances) * (1 - chances).log()).mean()
    assert scored(0) == pytest.approx(float(entropy), abs=1e-3)
    assert scored(0) < min(scored(-0.3), scored(0.3))


def test_a_shipped_head_of_pairs_is_what_was_taught(recipe):
    """On letters the states of ``protein.letters`` are letters too, so both join in one embedding."""
    torch.manual_seed(0)
    encoder, records = Letters(), [Record("a", "ACDEFGHIKLMNPQRSTVWYX")]
    batch = PairTokenizer(encoder.tokenizer, LABELS)(records)
    taught = PairHead(encoder.width, LABELS, pretrained=False).eval()
    torch.nn.init.normal_(taught.convolutions.norm.weight)
    shipped = PairHead(8, LABELS, pretrained=False).eval()
    shipped.load_state_dict({**shipped.state_dict(), **recipe("ship_pairs").pair_head(taught.state_dict())})
    shipped.convolutions.quieten_states()
    torch.nn.init.zeros_(shipped.convolutions.states.weight)
    expected = taught(encoder(batch.inputs), batch).logits.values
    states = batch.tokens.with_values(torch.randn(len(batch.tokens.values), 8))
    torch.testing.assert_close(shipped(states, batch).logits.values, expected)


def test_families_taught_contacts(bio):
    """Without further learning the head tells contacts of real chains better than what is hydrophobic tells."""
    files = [bio / "structures_mmcif" / f"{name}.cif" for name in ("1aki", "1k6p", "3o5r", "4i39")]
    records = [next(iter(read_contacts(file, labelled=True))) for file in files]
    encoder, metric = Letters(), ContactPrecision(LABELS)
    tokenizer = PairTokenizer(encoder.tokenizer, LABELS)
    head = PairHead(encoder.width, LABELS).eval()
    batch = tokenizer(records)
    with torch.inference_mode():
        found = metric(head.decode(head(encoder(batch.inputs), batch), batch), records)
    simple = metric(fit_hydropathy([], LABELS)(records), records)
    for scope in ("short", "medium"):
        assert found[f"p_at_l_{scope}"] > 1.5 * simple[f"p_at_l_{scope}"]


@pytest.mark.parametrize(("script", "score"), [("ship_families", "q3"), ("ship_pairs", "p_at_l_long")])
def test_a_card_has_a_row_for_every_round(recipe, tmp_path, script, score):
    for number, share in (("1", 0.1), ("2", 0.25)):
        for name, records in (("run", 1234), ("teacher", 56)):
            (tmp_path / number / name).mkdir(parents=True)
            metrics = {
                "data": {"train": {"records": records, "tokens": 98765, "sha256": "0f"}, "valid": {"records": 78}},
                "valid": {score: {"value": share}},
                "seed": 3,
                "train": {"epochs": 2, "seconds": 61.4},
            }
            (tmp_path / number / name / "metrics.json").write_text(json.dumps(metrics))
    found = recipe(script).card({"a": torch.zeros(4321)}, [tmp_path / "1" / "run", tmp_path / "2" / "run"])
    rows = [line.strip("| ").split(" | ") for line in found.splitlines() if line.startswith("| ")]
    assert [len(row) for row in rows] == [len(rows[0])] * 4
    assert [(row[0], row[1], row[-1]) for row in rows[2:]] == [("1", "98,765", "10.0%"), ("2", "98,765", "25.0%")]
    assert all(told in found for told in ("4,321 parameters", "1,234", "78"))
    assert ("56 known chains" in found.replace("\n", " ")) == (script == "ship_pairs")
