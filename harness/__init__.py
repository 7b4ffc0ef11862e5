"""The gate: golden sets in, a verdict with a known error rate out.

PYTEST_DONT_REWRITE: ``tunegate gate`` imports this before pytest, and there is no assertion of a test in it.
"""

from tunegate.shared_folders import SharedFolders

__path__ = SharedFolders(__name__, __path__)
