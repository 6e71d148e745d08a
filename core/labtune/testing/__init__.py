"""The conformance kit for plugin authors: one line in a test file, or ``labtune check NAME``.

.. code-block:: python

    import labtune_chem.plugin
    from labtune.testing import parametrize_with_checks

    @parametrize_with_checks(labtune_chem.plugin)
    def test_plugin(check):
        check()
"""

from __future__ import annotations

from labtune.testing.kit import checks_of, parametrize_with_checks, run_checks

__all__ = ["checks_of", "parametrize_with_checks", "run_checks"]
