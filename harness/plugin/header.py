"""The line at the top of a session: what is gated, and against what."""

from harness.baselines.file import Baseline
from harness.run.inputs import Inputs
from harness.types import ModelRef


def describe_inputs(inputs: Inputs) -> str:
    """What is gated against what, and how it is computed."""
    baseline = inputs.baseline
    if baseline is None:
        against = "no baseline"
    elif isinstance(baseline, ModelRef):
        against = f"against {baseline.label}"
    elif isinstance(baseline, Baseline):
        against = f"against {baseline.name}, accepted {baseline.accepted_at[:10]}: {baseline.reason}"
    else:
        against = f"against run {baseline.id}"
    plan, candidates = inputs.plan, inputs.candidates
    names = ", ".join(candidate.name for candidate in candidates)
    gated = candidates[0].model.label if len(candidates) == 1 else f"{len(candidates)} models ({names})"
    return f"tunegate: {gated} {against}, {plan.dtype} on {plan.device}"
