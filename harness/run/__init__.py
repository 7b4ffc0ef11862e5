"""One session: inputs are checked, models answer, answers are scored."""
