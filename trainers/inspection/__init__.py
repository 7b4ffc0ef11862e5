"""Training data before it is trained on: what is in it, how long it is, and what will be learnt."""
