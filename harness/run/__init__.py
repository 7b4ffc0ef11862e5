"""One session of questions: inputs are checked, models answer, answers are scored."""
