"""The common parts of every training run."""
