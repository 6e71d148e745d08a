"""Which combination is recommended, on cases worked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labtune.experiments.combinations import Combination, SeedScore, combine
from labtune.experiments.recommendation import front, recommend


def combination(method, bits, valid, memory, *, test=0.0, seconds=10.0, spread=0.0, half=0.0):
    score = SeedScore(valid, None if valid is None else valid - half, None if valid is None else valid + half, spread)
    return Combination(method, bits, (0, 1), score, SeedScore(test, None, None, None), 0.1, memory, seconds, 1.0)


FULL = combination("full", 32, 0.900, 1000, spread=0.005)


def test_the_cheapest_within_a_standard_error_is_taken():
    """0.897 is within 0.005 of the best, 0.894 is not, however little memory it needs."""
    near, far = combination("lora", 4, 0.897, 310), combination("head", 4, 0.894, 100)
    found = recommend([FULL, near, far], "macro_f1")
    assert (found.method, found.bits, found.standard_error) == ("lora", 4, 0.005)
    assert found.sentence == "lora at 4 bits: 0.3 points below full fine-tuning at 31 % of its memory."


def test_an_interval_wider_than_the_spread_is_the_standard_error():
    """A 95% interval of 0.0392 is 0.01 to each side in standard errors."""
    best = combination("full", 32, 0.9, 1000, spread=0.005, half=0.0196)
    found = recommend([best, combination("head", 32, 0.891, 100)], "accuracy")
    assert (found.method, found.standard_error) == ("head", pytest.approx(0.01))


def test_test_scores_take_no_part():
    items = [FULL, combination("lora", 4, 0.897, 310, test=0.1), combination("head", 4, 0.8, 100, test=1.0)]
    assert recommend(items, "macro_f1").method == "lora"


@pytest.mark.parametrize(("memory", "method"), [(1000, "head"), (1015, "head"), (1030, "full")])
def test_equal_memory_is_decided_by_time(memory, method):
    quick = combination("head", 32, 0.899, memory, seconds=1)
    assert recommend([FULL, quick], "macro_f1").method == method


def test_errors_are_better_when_smaller():
    best, other = combination("full", 32, 1.00, 1000, spread=0.1), combination("lora", 32, 1.05, 500)
    worse = combination("head", 32, 1.5, 100)
    found = recommend([other, worse, best], "-rmse")
    assert found.sentence == "lora: RMSE 0.050 worse than full fine-tuning at 50 % of its memory."
    assert [item.method for item in front([other, worse, best], "-rmse")] == ["head", "lora", "full"]


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ([], "full fine-tuning: nothing to compare it with."),
        (["head", 4, 0.85, 100], "full fine-tuning: 5.0 points above head at 4 bits at 1000 % of its memory."),
        (["lora", 8, 0.92, 500], "lora at 8 bits: 2.0 points above full fine-tuning at 50 % of its memory."),
        (["lora", 8, 0.9, 500], "lora at 8 bits: level with full fine-tuning at 50 % of its memory."),
    ],
)
def test_what_it_is_compared_with(other, sentence):
    assert recommend([FULL, *([combination(*other)] if other else [])], "accuracy").sentence == sentence


def test_undefined_scores_are_never_recommended():
    unknown = combination("head", 32, None, 1)
    assert recommend([unknown], "pearson") is None
    assert recommend([unknown, FULL], "pearson").method == "full"
    assert front([unknown, FULL], "pearson") == [FULL]


def test_a_combination_that_lacks_a_seed_is_not_judged():
    """Its mean would be one over other splits than the others'."""
    lucky = replace(combination("head", 4, 0.99, 100), seeds=(0,))
    assert recommend([FULL, lucky], "accuracy").method == "full"
    assert front([FULL, lucky], "accuracy") == [FULL]


def test_the_front_leaves_out_what_another_beats_in_both():
    beaten, tied = combination("lora", 32, 0.8, 600), combination("ia3", 32, 0.85, 600)
    small = combination("head", 4, 0.85, 100)
    assert front([FULL, beaten, tied, small], "accuracy") == [small, FULL]


def run(seed, value, *, memory=100.0, method="lora", low=None):
    score = {"accuracy": {"value": value, "low": low, "high": value}}
    train = {"trainable_parameters": 1, "total_parameters": 4, "peak_memory_mb": memory, "seconds": 2.0 * (seed + 1)}
    return {
        "method": method, "bits": 8, "seed": seed, "monitor": "accuracy", "valid": score, "train": train, "disk_mb": 3.0
    }  # fmt: skip


def test_seeds_are_put_together():
    """Of 0.8 and 0.9 the mean is 0.85 and the sample deviation 0.0707; the memory is the larger one."""
    [found] = combine([run(0, 0.8, low=0.7), run(1, 0.9, memory=150.0, low=0.8)])
    assert (found.name, found.seeds, found.trainable) == ("lora at 8 bits", (0, 1), 0.25)
    assert (found.memory_mb, found.seconds, found.disk_mb) == (150, 3, 3)
    assert found.valid.value == pytest.approx(0.85)
    assert found.valid.spread == pytest.approx(0.0707107)
    assert (found.valid.low, found.valid.high) == (pytest.approx(0.75), pytest.approx(0.85))
    assert found.test == SeedScore(None, None, None, None)


def test_one_undefined_seed_makes_the_mean_undefined():
    [found] = combine([run(0, 0.8), run(1, None)])
    assert (found.valid.value, found.valid.spread) == (None, None)


def test_groups_keep_their_order():
    assert [item.method for item in combine([run(0, 1, method="head"), run(0, 1, method="full")])] == ["head", "full"]
