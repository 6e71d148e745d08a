import labtune_ner.plugin
from labtune.testing import parametrize_with_checks


@parametrize_with_checks(labtune_ner.plugin)
def test_plugin(check):
    check()
