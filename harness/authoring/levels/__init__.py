"""Writes the probe cases of three levels, from which a base's own forgetting probes are chosen."""
