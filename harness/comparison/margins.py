"""The gate's level, and the tolerated drops of sets that name none."""

# One-sided, of all tests of a run together, and of each bound that is compared with a margin.
ALPHA = 0.05
TASK_MARGIN = 0.05
PROBE_MARGIN = 0.10
