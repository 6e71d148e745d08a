import labtune_finance.plugin
from labtune.testing import parametrize_with_checks


@parametrize_with_checks(labtune_finance.plugin)
def test_plugin(check):
    check()
