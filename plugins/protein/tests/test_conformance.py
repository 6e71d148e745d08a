"""The plugin passes the kit that any plugin is judged by."""

from __future__ import annotations

import labtune_protein.plugin
from labtune.testing import parametrize_with_checks


@parametrize_with_checks(labtune_protein.plugin)
def test_plugin(check):
    check()
