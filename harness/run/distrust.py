"""Checks without a score on purpose: a judge's that its calibration distrusts, and an unanswered probe's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.golden.schema import CHECK_TYPES, base_type
from harness.metrics.definition import Result
from harness.types import CaseResult, Check, Completion, GoldenCase, Interval, UnscoredMetric

if TYPE_CHECKING:
    from harness.judge.calibration import Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Distrust:
    """Reasons not to trust a judge.

    Attributes:
        everything: Why it is unreliable altogether; empty if it isn't.
        questions: The same by question.
        tags: The same by tag of the cases.
    """

    everything: str = ""
    questions: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def reason(self, case: GoldenCase, check: Check) -> str:
        """Why the judge is unreliable for a check of a case; empty if it is reliable, or no judge decides.

        Args:
            case: The case.
            check: One of its checks.
        """
        if not CHECK_TYPES[base_type(check.type)].judged:
            return ""
        # The lint has no judge, and would import one.
        from harness.metrics.judged import question_of

        of_tags = (self.tags[tag] for tag in case.tags if tag in self.tags)
        return self.everything or self.questions.get(question_of(check), "") or next(of_tags, "")


NOTHING = Distrust()


def with_unscored(results: Sequence[CaseResult], why: Callable[[GoldenCase, Check], str]) -> list[CaseResult]:
    """Results that say which checks have no score on purpose, such as one whose judge is unreliable for it.

    Args:
        results: Of scoring.
        why: The reason by case and check; empty if a check is scored.
    """
    return [
        replace(
            result,
            unscored=result.unscored
            + tuple(
                UnscoredMetric(metric=check.type, reason=reason)
                for check in result.case.single_checks
                if (reason := why(result.case, check))
            ),
        )
        for result in results
    ]


def left_open(
    case: GoldenCase, answers: Sequence[Completion], results: Sequence[Result]
) -> tuple[Sequence[Result], tuple[UnscoredMetric, ...]]:
    """The results of an answer without those that show nothing, and why these are left out.

    A probe asks for a skill that the model had. A reasoning that was cut, or that no answer came after, shows
    neither that it is there nor that it is lost, whatever the checks say of an empty text.

    Args:
        case: The answer's case.
        answers: Those to earlier turns, and the last one.
        results: Of the case's checks.
    """
    missing = next((answer for answer in answers if answer.unanswered), None)
    if missing is None or not case.probes_forgetting:
        return results, ()
    reason = f"has no answer to read: {why_no_answer(missing)}"
    unread = [check.type for check in case.single_checks if _reads_answer(check.type)]
    kept = [result for result in results if not _reads_answer(result.metric)]
    return kept, tuple(UnscoredMetric(metric=name, reason=reason) for name in unread)


def _reads_answer(metric: str) -> bool:
    kind = CHECK_TYPES[base_type(metric)]
    return kind.reads_answer or kind.group


def why_no_answer(completion: Completion) -> str:
    """Why there is a reasoning and no answer."""
    return "the token limit cut the reasoning" if completion.stop_reason == "length" else "reasoning only"


def distrust_of(calibration: "Calibration | None") -> Distrust:
    """What a calibration shows; nothing without one."""
    if calibration is None:
        return NOTHING
    if not calibration.reliable:
        return Distrust(everything=calibration.reasons[0])
    return Distrust(
        questions={name: _shown(name, calibration.by_task[name]) for name in calibration.distrusted},
        tags={
            tag: _shown(f"items with the tag {tag}", calibration.by_tag[tag])
            for tag in calibration.distrusted_tags
        },
    )


def _shown(kind: str, kappa: Interval | None) -> str:
    assert kappa is not None  # an unknown agreement is no reason
    return f"agreement kappa of {kind} {kappa.estimate:.2f} [{kappa.low:.2f}, {kappa.high:.2f}]"
