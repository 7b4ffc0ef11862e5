"""The names that a plug-in can't take, by kind, so that one that tries is told when it registers.

The records themselves are in the rooms that use them, which are imported later; tests compare the names.
"""

from collections.abc import Mapping

from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.registry.content_metrics import SET_METRICS
from harness.registry.metric import Metric
from harness.registry.records import EngineKind, JudgeKind, RewardKind, RunReader, Sink, TrainMethod

BUILTIN_NAMES: Mapping[type, frozenset[str]] = {
    # Figures of a whole set are rows of a comparison, beside those of metrics.
    Metric: frozenset({*BUILTIN_METRICS, *SET_METRICS, "pass-rate"}),
    JudgeKind: frozenset({"openai", "local", "reward"}),
    EngineKind: frozenset({"transformers", "multitask", "openai", "openai-completions", "vllm"}),
    RewardKind: frozenset(
        {"json-valid", "exact-answer", "regex", "length", "check", "python", "reward-model"}
    ),
    TrainMethod: frozenset(
        {
            "sft",
            "dpo",
            "orpo",
            "kto",
            "reward",
            "continual",
            "grpo",
            "rft",
            "rloo",
            "ppo",
            "multitask",
            "rlhf",
        }
    ),
    Sink: frozenset({"mlflow", "wandb", "tensorboard", "trackio"}),
    RunReader: frozenset({"lm-eval", "inspect", "promptfoo", "helm", "deepeval", "mlflow", "rows"}),
}
# They come before a colon in a model's or a baseline's name, and are no engines.
PREFIXES = frozenset({"hf", "commit"})
