"""Networks from scratch: records do not touch each other, strands agree, chance is seeded."""

import pytest
import torch

from labtune.errors import SettingsError
from labtune.ragged import Ragged
from labtune_expression.alphabet import LETTERS, encode, reverse_complement
from labtune_expression.blocks import Norm
from labtune_expression.conv import ConvEncoder
from labtune_expression.rotary import RotaryEncoder
from labtune_expression.strands import displace, turn

BUILDERS = {
    "conv": lambda **options: ConvEncoder(width=8, motifs=16, blocks=2, dropout=0.0, **options),
    "members": lambda **options: ConvEncoder(width=4, motifs=8, blocks=1, dropout=0.0, members=2, **options),
    "rotary": lambda **options: RotaryEncoder(width=16, layers=2, heads=2, dropout=0.0, **options),
}
SEQUENCES = ["ACGTACGTAC", "A", "GGNRTTTTACGATCGATCGAC", "ACGTT", "ACGTACGTAC", "TTTTTTTTTTTTT"]


def letters(sequences):
    return Ragged.from_rows([encode(sequence, "here") for sequence in sequences], dtype=torch.long)


@pytest.fixture(params=BUILDERS)
def build(request):
    def seeded(**options):
        torch.manual_seed(0)
        return BUILDERS[request.param](**options).eval()

    return seeded


@torch.no_grad()
@pytest.mark.parametrize("strands", ["both", "forward"])
def test_a_record_alone_is_as_among_others(build, strands):
    encoder = build(strands=strands)
    together = encoder({"input_ids": letters(SEQUENCES)})
    assert together.bounds == letters(SEQUENCES).bounds
    assert together.values.shape[1] == encoder.width
    for row, sequence in enumerate(SEQUENCES):
        alone = encoder({"input_ids": letters([sequence])}).values
        torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_prediction_is_the_average_of_two_readings(build):
    encoder = build(strands="both")
    for sequence in SEQUENCES:
        forward = encoder.encode(letters([sequence]), torch.tensor([False])).values
        reverse = encoder.encode(letters([reverse_complement(sequence)]), torch.tensor([True])).values
        expected = (forward + reverse.flip(0)) / 2
        found = encoder({"input_ids": letters([sequence])}).values
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("strands", ["both", "forward"])
def test_directions_are_told_apart(build, strands):
    first, second = build(strands=strands)({"input_ids": letters(["ACCGTTAG", "CTAACGGT"])}).mean()
    assert float((first - second).abs().max()) > 1e-5


def test_training_draws_strands_and_shifts_from_the_seed(build):
    encoder = build(strands="both", shift=3).train()
    ids = {"input_ids": letters(SEQUENCES)}

    def draw(seed):
        torch.manual_seed(seed)
        return encoder(ids).values

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_every_weight_learns(build):
    encoder = build()
    encoder.train()({"input_ids": letters(SEQUENCES)}).values.square().sum().backward()
    silent = [name for name, weight in encoder.named_parameters() if weight.grad is None]
    assert not silent


def test_turn_reverses_only_the_records_it_is_told():
    ragged = Ragged.from_rows([[1, 2, 3], [4, 5], [6]])
    assert [row.tolist() for row in turn(ragged, torch.tensor([True, False, True]))] == [[3, 2, 1], [4, 5], [6]]


def test_displace_fills_with_n_inside_the_record():
    moved = displace(letters(["ACGT", "ACGT", "AC"]), torch.tensor([1, -2, 5]))
    assert ["".join(LETTERS[index] for index in row) for row in moved] == ["NACG", "GTNN", "NN"]


def test_a_record_does_not_touch_its_neighbour():
    encoder = BUILDERS["conv"](strands="forward").eval()
    with torch.no_grad():
        first = encoder({"input_ids": letters(["A" * 200, "C" * 50])})
        second = encoder({"input_ids": letters(["A" * 199 + "G", "C" * 50])})
    changed = (first.values != second.values).any(1)
    assert bool(changed[190:200].all())
    assert not bool(changed[200:].any())


def test_a_single_bin_can_be_learned_from():
    encoder = BUILDERS["conv"](strands="forward").train()
    found = encoder({"input_ids": letters(["ACG"])})
    assert bool(found.values.isfinite().all())


def test_normalisation_counts_only_what_is_there():
    """Training statistics over ragged records are torch's own over the same columns without padding."""
    torch.manual_seed(0)
    block, inside = torch.randn(2, 3, 5), torch.ones(2, 1, 5)
    inside[1, :, 2:] = 0
    ours, theirs = Norm(3), torch.nn.BatchNorm1d(3)
    columns = torch.cat([block[0], block[1, :, :2]], dim=1).T  # (7, 3)
    found = ours(block, inside)
    expected = theirs(columns)
    torch.testing.assert_close(torch.cat([found[0], found[1, :, :2]], dim=1).T, expected)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)


@pytest.mark.parametrize(
    ("build_bad", "message"),
    [
        (lambda: ConvEncoder(strands="reverse"), "strands"),
        (lambda: ConvEncoder(motif_length=4), "odd"),
        (lambda: RotaryEncoder(width=10, heads=3), "divide"),
        (lambda: RotaryEncoder(vocabulary=4097), "strands=forward"),
    ],
)
def test_options_that_do_not_go_are_refused(build_bad, message):
    with pytest.raises(SettingsError, match=message):
        build_bad()
