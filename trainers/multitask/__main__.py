"""``python -m trainers.multitask``."""

import sys

from trainers.entry import run_module
from trainers.multitask.config import MultitaskConfig
from trainers.multitask.train import train

if __name__ == "__main__":
    sys.exit(run_module("multitask", MultitaskConfig, train))
