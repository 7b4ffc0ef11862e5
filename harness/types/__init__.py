"""The data that flows through a gate, as values without behaviour: functions elsewhere use it.

Words: a *metric* scores one completion; a *check* is a metric with its threshold inside a case;
a *summary* aggregates one metric over cases; a run *regressed* if the gate says so, a *regressed case* is a
single case that is shown to be answered worse.
Fractions are in [0, 1], times in seconds, losses in nats per token.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from harness.types.golden import (
    PINNED_DATE,
    RESERVED_KWARGS,
    Check,
    GateSettings,
    GenerationSettings,
    GoldenCase,
    GoldenSet,
    JsonValue,
    Message,
    ToolCall,
    Turn,
    id_of,
    set_of,
)
from harness.types.interval import Interval
from harness.types.metric import (
    JUDGE,
    LARGEST_VALUE,
    MetricFacts,
    ScoredTexts,
    TextLoss,
    UnscoredMetric,
)
from harness.types.permissions import NOTHING_ALLOWED, Permissions
from harness.types.run import (
    EXACT_DTYPES,
    UNKNOWN_WEIGHTS,
    CaseResult,
    Completion,
    Environment,
    ExecutionPlan,
    GateVerdict,
    MetricError,
    ModelRef,
    Outcome,
    Placement,
    Repeat,
    Run,
    Score,
    ServerUse,
    SetLooks,
)
from harness.types.stability import Stability

if TYPE_CHECKING:
    from harness.types.comparison import (
        Comparison,
        Confirmation,
        DriverSlice,
        Forgetting,
        MetricComparison,
        MetricSummary,
        RegressedCase,
        Retention,
        SetCounts,
        SharedTrait,
        TooFew,
    )
    from harness.types.findings import (
        ChangedCasesFinding,
        ConfirmationFinding,
        DriverFinding,
        FailedTestsFinding,
        Finding,
        FindingData,
        MetricFinding,
        MustPassFinding,
        NotComparedFinding,
        NoteFinding,
        NothingGatedFinding,
        NothingToLoseFinding,
        NoVerdictFinding,
        OtherTextFinding,
        PartialRunFinding,
        RegressedCasesFinding,
        RetentionFinding,
        Standing,
        StoppedFinding,
        TraitsFinding,
        TripwireFinding,
        UnpairedFinding,
        Verdict,
    )
    from harness.types.judge import JudgeReply, JudgeRequest, JudgeUsage, JudgeVerdict
    from harness.types.record import GateRecord
    from harness.types.side_findings import OwnSettingsFinding, PlansFinding, ScorersFinding, TimesFinding

__all__ = [
    "EXACT_DTYPES",
    "JUDGE",
    "LARGEST_VALUE",
    "NOTHING_ALLOWED",
    "PINNED_DATE",
    "RESERVED_KWARGS",
    "UNKNOWN_WEIGHTS",
    "CaseResult",
    "ChangedCasesFinding",
    "Check",
    "Comparison",
    "Completion",
    "Confirmation",
    "ConfirmationFinding",
    "DriverFinding",
    "DriverSlice",
    "Environment",
    "ExecutionPlan",
    "FailedTestsFinding",
    "Finding",
    "FindingData",
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
    "MetricFinding",
    "MetricSummary",
    "ModelRef",
    "MustPassFinding",
    "NoVerdictFinding",
    "NotComparedFinding",
    "NoteFinding",
    "NothingGatedFinding",
    "NothingToLoseFinding",
    "OtherTextFinding",
    "Outcome",
    "OwnSettingsFinding",
    "PartialRunFinding",
    "Permissions",
    "Placement",
    "PlansFinding",
    "RegressedCase",
    "RegressedCasesFinding",
    "Repeat",
    "Retention",
    "RetentionFinding",
    "Run",
    "Score",
    "ScoredTexts",
    "ScorersFinding",
    "ServerUse",
    "SetCounts",
    "SetLooks",
    "SharedTrait",
    "Stability",
    "Standing",
    "StoppedFinding",
    "TextLoss",
    "TimesFinding",
    "TooFew",
    "ToolCall",
    "TraitsFinding",
    "TripwireFinding",
    "Turn",
    "UnpairedFinding",
    "UnscoredMetric",
    "Verdict",
    "id_of",
    "set_of",
]

# Commands that read golden sets only don't wait for these: making their classes takes longer than a lint.
_LATER = ("judge", "comparison", "findings", "record")


def __getattr__(name: str) -> Any:
    """Import what is asked for from the modules above when it is first used."""
    if name in __all__:
        for module in _LATER:
            found = import_module(f"harness.types.{module}")
            if hasattr(found, name):
                globals()[name] = getattr(found, name)
                return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
