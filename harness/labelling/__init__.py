"""Labels by people: answers are shown blind, labels saved at once, exported for calibration and trainers."""
