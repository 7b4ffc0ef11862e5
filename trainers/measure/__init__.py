"""Measures training: held-out data, samples, canaries, rewards."""
