"""What has to have a name of our own: pytest's entry point, the command's, and the hooks for others.

The packages that do the work are called ``harness``, ``trainers`` and ``reports``, names that a project may
use too. Nothing here imports them before it is known that those names lead to ours.
"""
