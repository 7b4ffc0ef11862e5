"""Two runs, paired by case: what changed, and the findings that follow."""
