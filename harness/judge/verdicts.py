"""What the replies of judges mean: a verdict on one answer, or a preference between two."""

from collections.abc import Mapping
from typing import Literal, TypeAlias, cast

from harness.types import JudgeReply, JudgeRequest, JudgeVerdict

Preference: TypeAlias = Literal["A", "B", "tie"]
# The value of a preference for the first answer.
VALUES: Mapping[Preference, float] = {"A": 1.0, "B": 0.0, "tie": 0.5}


def single_verdict(request: JudgeRequest, reply: JudgeReply) -> JudgeVerdict:
    """The verdict in a reply about one answer.

    Args:
        request: The question.
        reply: The judge's reply, which follows the question's schema.
    """
    data = reply.data
    if request.passes_from is not None:
        grade = cast("int", data["grade"])
        reason = f"grade {grade}, passes from {request.passes_from}: {data.get('reason', '')}".strip(": ")
        return _verdict(
            grade >= request.passes_from, float(grade >= request.passes_from), reason, request, reply
        )
    passed = cast("bool", data["pass"]) if "pass" in data else None
    value = float(passed) if passed is not None else float(cast("int", data["grade"]))
    return _verdict(passed, value, str(data.get("reason", "")).strip(), request, reply)


def pair_verdict(
    requests: tuple[JudgeRequest, JudgeRequest], replies: tuple[JudgeReply, JudgeReply]
) -> tuple[JudgeVerdict, bool]:
    """The verdict in the replies in both orders: 1 for the answer, 0 for the other, 0.5 for neither.

    If the preference changes with the order, it is a tie.

    Args:
        requests: The question in both orders: the answer as A, then as B.
        replies: The replies, in the same order.

    Returns:
        The verdict, and whether both orders agree.
    """
    first = preference(replies[0])
    second = swapped(preference(replies[1]))
    agree = first == second
    value = VALUES[first] if agree else VALUES["tie"]
    reason = str(replies[0].data.get("reason", "")).strip()
    if not agree:
        reason = f"the preference changed with the order ({first} first, then {second}): a tie"
    return _verdict(None, value, reason, requests[0], replies[0]), agree


def preference(reply: JudgeReply) -> Preference:
    """The answer that a reply prefers, A or B as shown."""
    return cast("Preference", reply.data["winner"])


def swapped(winner: Preference) -> Preference:
    """The same preference with A and B exchanged."""
    return cast("Preference", {"A": "B", "B": "A", "tie": "tie"}[winner])


def _verdict(
    passed: bool | None, value: float, reason: str, request: JudgeRequest, reply: JudgeReply
) -> JudgeVerdict:
    return JudgeVerdict(
        passed=passed,
        value=value,
        reason=reason,
        judge_model=reply.model,
        prompt_version=request.prompt_version,
        raw_reply=reply.text,
    )
