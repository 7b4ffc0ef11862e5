"""The tolerated drops of sets that name none."""

TASK_MARGIN = 0.05
PROBE_MARGIN = 0.10
