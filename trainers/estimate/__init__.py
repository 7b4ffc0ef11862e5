"""Estimates the memory of training."""
