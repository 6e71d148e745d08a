"""The plugin passes labtune's own kit."""

import labtune_expression.plugin
from labtune.testing import parametrize_with_checks


@parametrize_with_checks(labtune_expression.plugin)
def test_plugin(check):
    check()
