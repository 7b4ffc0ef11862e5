"""One registry of the names in golden sets, options and configurations, open to plug-ins.

The tables of built-in records are in different rooms: metrics here; judges, engines, rewards and training
methods in their own. Each is read together with the records of plug-ins (:meth:`Registry.merged`), so
commands, the pytest plugin, lint, schema and docs read the same.
"""

from harness.registry.metric import Metric, Options
from harness.registry.plugins import Registrar, Registry, active, load_function, use_registry
from harness.registry.records import EngineKind, JudgeKind, RewardKind, RunReader, Sink, TrainMethod

__all__ = [
    "EngineKind",
    "JudgeKind",
    "Metric",
    "Options",
    "Registrar",
    "Registry",
    "RewardKind",
    "RunReader",
    "Sink",
    "TrainMethod",
    "active",
    "load_function",
    "use_registry",
]
