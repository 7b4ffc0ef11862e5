"""Checks that answers in production can be held to: those that need no reference."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.golden.schema import CHECK_TYPES, base_type, decides
from harness.types import Check, GoldenCase


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedChecks:
    """The checks that are watched.

    Attributes:
        checks: Those that read nothing but the answer.
        judged: Those that ask a judge, and need nothing else.
        left_out: Names of common ones that need more: a reference, a loss, tools, code, or a judge.
    """

    checks: tuple[Check, ...] = ()
    judged: tuple[Check, ...] = ()
    left_out: tuple[str, ...] = ()


def common_checks(cases: Sequence[GoldenCase], *, with_judge: bool = False) -> WatchedChecks:
    """The checks that every case of a golden set has and that need no reference.

    Args:
        cases: The set's cases.
        with_judge: A judge is there.
    """
    counted_checks: dict[str, tuple[Check, int]] = {}
    for case in cases:
        for content, check in {repr(check.content): check for check in case.checks}.items():
            first, count = counted_checks.get(content, (check, 0))
            counted_checks[content] = (first, count + 1)
    common = [check for check, count in counted_checks.values() if count == len(cases) and check.turn is None]
    deciding = [check for check in common if decides(check)]
    alone = tuple(check for check in deciding if all(map(_needs_nothing, check.single_checks)))
    judged = tuple(check for check in deciding if with_judge and _needs_a_judge_alone(check))
    return WatchedChecks(
        checks=alone,
        judged=judged,
        left_out=tuple(check.type for check in common if check not in (*alone, *judged)),
    )


def _needs_nothing(check: Check) -> bool:
    return not CHECK_TYPES[base_type(check.type)].judged and _reads_the_answer_alone(check)


def _needs_a_judge_alone(check: Check) -> bool:
    kind = base_type(check.type)
    # A pair is judged against the baseline's answer.
    judged = CHECK_TYPES[kind].judged and kind not in {"pairwise", "llm-reference"}
    return not check.checks and judged and _reads_the_answer_alone(check)


def _reads_the_answer_alone(check: Check) -> bool:
    kind = CHECK_TYPES[base_type(check.type)]
    references = kind.always_references or (kind.needs_references and check.value is None)
    outside = kind.needs_context or kind.needs_losses or kind.needs_tools or kind.runs_code
    return kind.reads_answer and not references and not outside
