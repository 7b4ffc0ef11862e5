"""The line at the top of a session: the gated models and the baseline."""

from harness.baselines.target import describe_target
from harness.run.inputs import Inputs


def describe_inputs(inputs: Inputs) -> str:
    """The gated models, the baseline and the plan."""
    plan, candidates = inputs.plan, inputs.candidates
    names = ", ".join(candidate.name for candidate in candidates)
    gated = candidates[0].model.label if len(candidates) == 1 else f"{len(candidates)} models ({names})"
    return f"tunegate: {gated} {describe_target(inputs.target)}, {plan.dtype} on {plan.device}"
