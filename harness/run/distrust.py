"""For what a judge is unreliable, by its calibration: everything, some questions, or cases of some tags."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.golden.schema import CHECK_TYPES, base_type
from harness.types import CaseResult, Check, GoldenCase, Interval, UnscoredMetric

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
            unscored=tuple(
                UnscoredMetric(metric=check.type, reason=reason)
                for check in result.case.single_checks
                if (reason := why(result.case, check))
            ),
        )
        for result in results
    ]


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
