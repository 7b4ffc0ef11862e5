"""The gate as a pytest plugin: options, collection, the session and its verdict.

:mod:`tunegate.pytest_plugin` loads ``hooks`` if a session concerns a gate. It has these phases, in this
order:

1. Configure: options become settings (``hooks``), settings become checked inputs (``harness.run.inputs``).
2. Collect: each case of a golden set becomes an item for each model (``collection``).
3. Select: ``-k``, ``-m`` and ``--lf`` select cases (``selection``); everything that they need is checked
   (``harness.run.inputs``).
4. Run: before the first item all selected cases are answered and scored together (``session``,
   ``harness.run``: generation, scoring). Each item then fails, skips or passes as its case did.
5. Finish: the runs are paired, compared and judged (``harness.comparison``: pairing, comparison, gate,
   findings), stored and reported; the verdict decides the exit status (``delivery``).
6. Summarise: the findings are printed (``hooks``, ``harness.presentation``).
"""

# An editable install from before the entry point moved names this package as the plugin.
pytest_plugins = ["tunegate.pytest_plugin"]
