"""Reports of a finished gate for people and for other programs.

PYTEST_DONT_REWRITE: see ``harness``.
"""

from tunegate.shared_folders import SharedFolders

__path__ = SharedFolders(__name__, __path__)
