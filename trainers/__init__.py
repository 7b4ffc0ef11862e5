"""Training backends: each writes an adapter directory that the gate can read.

PYTEST_DONT_REWRITE: see ``harness``.
"""

from tunegate.shared_folders import SharedFolders

__path__ = SharedFolders(__name__, __path__)
