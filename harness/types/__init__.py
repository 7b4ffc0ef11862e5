"""The data that flows through a gate, as inert values: functions elsewhere act on it.

Words: a *metric* scores one completion; a *check* is a metric with its threshold inside a case;
a *summary* aggregates one metric over cases; *regressed* is said of a run, never of a case.
Fractions are in [0, 1], times in seconds, losses in nats per token.
"""

from harness.types.comparison import (
    Comparison,
    Confirmation,
    DriverSlice,
    Forgetting,
    GateRecord,
    GateVerdict,
    Interval,
    MetricComparison,
    MetricSummary,
    RegressedCase,
    Retention,
    SetCounts,
    SharedTrait,
    Verdict,
)
from harness.types.golden import (
    PINNED_DATE,
    Check,
    GateSettings,
    GenerationSettings,
    GoldenCase,
    GoldenSet,
    JsonValue,
    Message,
)
from harness.types.judge import JudgeReply, JudgeRequest, JudgeUsage, JudgeVerdict
from harness.types.metric import MetricFacts
from harness.types.run import (
    EXACT_DTYPES,
    CaseResult,
    Completion,
    Environment,
    ExecutionPlan,
    MetricError,
    ModelRef,
    Outcome,
    Repeat,
    Run,
    Score,
    Stability,
    TextLoss,
)

__all__ = [
    "EXACT_DTYPES",
    "PINNED_DATE",
    "CaseResult",
    "Check",
    "Comparison",
    "Completion",
    "Confirmation",
    "DriverSlice",
    "Environment",
    "ExecutionPlan",
    "Forgetting",
    "GateRecord",
    "GateSettings",
    "GateVerdict",
    "GenerationSettings",
    "GoldenCase",
    "GoldenSet",
    "Interval",
    "JsonValue",
    "JudgeReply",
    "JudgeRequest",
    "JudgeUsage",
    "JudgeVerdict",
    "Message",
    "MetricComparison",
    "MetricError",
    "MetricFacts",
    "MetricSummary",
    "ModelRef",
    "Outcome",
    "RegressedCase",
    "Repeat",
    "Retention",
    "Run",
    "Score",
    "SetCounts",
    "SharedTrait",
    "Stability",
    "TextLoss",
    "Verdict",
]
