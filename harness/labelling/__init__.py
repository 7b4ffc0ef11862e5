"""What people say of answers: shown blind, kept at once, handed to calibration and trainers."""
