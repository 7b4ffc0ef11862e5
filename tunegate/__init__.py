"""The package with a unique name: the entry points of pytest and of the command, and the hooks for others.

The other packages are called ``harness``, ``trainers`` and ``reports``, names that a project may use too.
They are imported only after checking that these names are our packages.

To pytest it is the plugin ``tunegate``, which loads :mod:`tunegate.pytest_plugin`: so ``-p no:tunegate``
switches all of it off, and ``-p tunegate`` loads it where plugins are not loaded by themselves.

PYTEST_DONT_REWRITE: see ``harness``.
"""

from tunegate.shared_folders import SharedFolders

pytest_plugins = ["tunegate.pytest_plugin"]
# A project's folder of tests called ``tunegate`` is imported as a part of this package.
__path__ = SharedFolders(__name__, __path__, packages=True)
