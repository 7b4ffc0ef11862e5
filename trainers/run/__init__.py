"""What every training run does around its method."""
