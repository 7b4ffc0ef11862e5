"""The gate inside any ``transformers.Trainer``: golden sets at each save, with a verdict, and a stop."""

from trainers.callback.gate_callback import GateCallback

__all__ = ["GateCallback"]
