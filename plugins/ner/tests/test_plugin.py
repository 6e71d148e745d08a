import subprocess
import sys

import pytest

import labtune_ner.plugin as plugin
from labtune_ner.data import examples, length_slice, sample
from labtune_ner.reading import read


def test_listing_imports_nothing_heavy():
    heavy = "{'torch', 'transformers', 'sklearn', 'pandas', 'numpy'}"
    code = f"import sys, labtune_ner.plugin as p; p.labtune_tasks(); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert done.stdout.strip() == "[]"


def test_every_name_carries_the_prefix():
    offers = [plugin.labtune_tokenizers(), plugin.labtune_heads(), plugin.labtune_metrics(), plugin.labtune_tasks()]
    assert all(offer.name.startswith("ner.") for offered in offers for offer in offered)


@pytest.mark.parametrize("task", plugin.labtune_tasks(), ids=lambda task: task.name)
def test_targets_can_be_imported(task):
    targets = [task.reader, task.examples, task.sample, task.baseline, *task.slices.values(), *task.views]
    for target in targets:
        module, _, name = target.partition(":")
        assert callable(getattr(__import__(module, fromlist=[name]), name))


def test_examples_are_labelled_with_known_types():
    found = examples()
    assert len(found) >= 8
    assert {span.label for record in found for span in record.target} <= {"PER", "ORG", "LOC", "MISC"}
    assert {length_slice(record) for record in found} <= {
        "to 10 words",
        "11 to 20 words",
        "21 to 40 words",
        "over 40 words",
    }


def test_sample_splits_share_no_sentence_and_test_has_new_names():
    splits = {name: list(read(path, labelled=True)) for name, path in sample().items()}
    sentences = [" ".join(record.input) for records in splits.values() for record in records]
    assert len(sentences) == len(set(sentences))
    names = {
        split: {tuple(record.input[span.start : span.end]) for record in records for span in record.target}
        for split, records in splits.items()
    }
    unseen = len(names["test"] - names["train"]) / len(names["test"])
    assert 0.5 < unseen < 0.9
    assert all(record.group for records in splits.values() for record in records)
