"""The model card names what the data of a run do not support, and nothing that they do."""

from labtune.evaluation.report.content import RunContent
from labtune.evaluation.report.limits import limits
from labtune.evaluation.report.verdict import judge
from labtune.evaluation.sections import DATA_CHECK, Table


def content(settings=None, sections=(), **metrics):
    part = {"records": 3000, "sha256": "a", "groups": 200}
    sound = {
        "monitor": "f1",
        "task": "demo", "encoder": "tiny", "method": "full", "bits": 32,
        "test": {"f1": {"value": 0.9, "low": 0.88, "high": 0.92}},
        "valid": {},
        "baseline": {"f1": {"value": 0.5, "low": 0.48, "high": 0.52}},
        "data": {"train": {**part, "sha256": "b"}, "test": part},
        "slices": {}, "calibration": {"decisions": 3000}, "conformal": {}, "train": {}, "warnings": [],
    }  # fmt: skip
    return RunContent("run", settings or {}, {**sound, **metrics}, tuple(sections), ())


def told(**changes):
    return " ".join(limits(content(**changes)))


def test_a_sound_run_lacks_only_other_seeds():
    [only] = limits(content())
    assert "another seed" in only


def test_a_gain_that_may_be_chance():
    assert "better than the baseline" in told(baseline={"f1": {"value": 0.89, "low": 0.86, "high": 0.91}})


def test_few_cases_of_a_label_and_small_slices():
    table = Table("By label", ("label", "F1", "support"), [["rare", 0.5, 9], ["absent", None, 0], ["common", 0.9, 10]])
    assert "fewer than 10 test cases: rare, absent." in told(sections=[table])
    entry = {"value": 0.5, "low": 0.1, "high": 0.9}
    slices = {
        "site": {"slices": {"A": {**entry, "records": 19}, "B": {**entry, "records": 20}}, "beyond_chance": False}
    }
    assert "fewer than 20 records: A (site)." in told(slices=slices)


def test_where_the_records_come_from():
    part = {"records": 3000, "sha256": "a", "groups": 0}
    one_file = {"train": part, "test": part}
    assert "another source" in told(data=one_file, settings={"split": "fold:5:0"})
    assert "another source" not in told(data=one_file, settings={"split": "time:year"})
    assert "no group was named" in told(data=one_file)
    few = {**part, "groups": 19}
    assert "they rest on 19 groups" in told(data={"train": few, "test": few})


def test_confidence_that_rests_on_little_or_does_not_hold():
    realised = {"value": 0.8, "low": 0.75, "high": 0.85}
    assert "promised coverage of 0.9" in told(
        conformal={"target": 0.9, "realised": realised, "calibrated_on": 500, "meaning": "it holds"}
    )
    enough = {"target": 0.8, "realised": realised, "calibrated_on": 99, "meaning": "it holds"}
    assert "rests on 99 records of validation data" in told(conformal=enough)
    documents = {"valid": {"records": 900, "groups": 99}}
    assert "rests on 99 groups of validation data" in told(conformal=enough, data=documents)
    assert "199 decisions" in told(calibration={"decisions": 199})


def test_a_leak_comes_first_and_into_the_verdict():
    table = Table(DATA_CHECK, ("severity", "finding"), [["serious", "groups in several parts: 3"], ["note", "odd"]])
    leaky = content(sections=[table])
    assert "groups in several parts: 3" in limits(leaky)[0]
    assert "groups in several parts: 3" in judge(leaky).mind
    assert "odd" not in judge(leaky).mind
