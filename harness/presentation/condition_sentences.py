"""Sentences about what was computed or scored in another way on one side."""

from harness.types import Finding, OwnSettingsFinding, PlansFinding, ScorersFinding

MAYBE = ": a difference may come from that"


def plans(_: Finding, data: PlansFinding) -> str:
    """How both sides were computed.

    Args:
        _: The finding, which names no set.
        data: Its data.
    """
    here, there = (
        f"{plan.engine} {plan.dtype} {plan.device} {plan.weights}, {plan.batch_tokens} tokens a batch"
        for plan in (data.candidate, data.baseline)
    )
    return f"the sides were computed differently ({here}; baseline {there}): some flips may come from that"


def scorers(finding: Finding, data: ScorersFinding) -> str:
    """Who scored a metric on both sides.

    Args:
        finding: The finding.
        data: Its data.
    """
    now, then = (
        ", ".join(f"{name} {what}" for name, what in side.items()) or "what its record does not say"
        for side in (data.candidate, data.baseline)
    )
    return f"{finding.metric} was scored by {now}, in the baseline by {then}{MAYBE}"


def own_settings(_: Finding, data: OwnSettingsFinding) -> str:
    """Which settings of its own a model answered without.

    Args:
        _: The finding, which names no set.
        data: Its data.
    """
    settings = ", ".join(data.candidate or data.baseline)
    owner = "the model's" if data.candidate else "the baseline's"
    if data.baseline and data.candidate and data.baseline != data.candidate:
        settings += f" (the baseline's: {', '.join(data.baseline)})"
    return (
        f"answers are greedy, without what {owner} generation config adds: {settings}; "
        f"generation: {{use_model_settings: true}} in a golden set uses it"
    )
