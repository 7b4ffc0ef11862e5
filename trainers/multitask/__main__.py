"""``python -m trainers.multitask``."""

import sys

from trainers.multitask.config import MultitaskConfig
from trainers.multitask.train import train
from trainers.run.entry import run_module

if __name__ == "__main__":
    sys.exit(run_module("trainers.multitask", MultitaskConfig, train))
