"""One registry of what can be named in golden sets, options and configurations, open to plug-ins.

The tables of what tunegate itself brings are kept where they belong: metrics here, judges, engines, rewards
and training methods in their own rooms. Each is read together with what plug-ins have added
(:meth:`Registry.merged`), so that commands, the pytest plugin, lint, schema and docs see the same.
"""

from harness.registry.current import active, use_registry
from harness.registry.metric import Metric
from harness.registry.options import Options
from harness.registry.plugins import Registrar, Registry, load_function
from harness.registry.records import EngineKind, JudgeKind, RewardKind, Sink, TrainMethod

__all__ = [
    "EngineKind",
    "JudgeKind",
    "Metric",
    "Options",
    "Registrar",
    "Registry",
    "RewardKind",
    "Sink",
    "TrainMethod",
    "active",
    "load_function",
    "use_registry",
]
