"""The package with a unique name: the entry points of pytest and of the command, and the hooks for others.

The other packages are called ``harness``, ``trainers`` and ``reports``, names that a project may use too.
They are imported only after checking that these names are our packages.

PYTEST_DONT_REWRITE: see ``harness``.
"""
