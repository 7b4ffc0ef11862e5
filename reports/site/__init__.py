"""The pages over all runs: written as files, or served on this machine."""
