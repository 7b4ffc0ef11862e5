"""Common parts of methods of one family: preferences, sampled answers."""
