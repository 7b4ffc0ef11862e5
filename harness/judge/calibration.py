"""Measures a judge: its verdicts on labelled items, and whether it is reliable."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.judge.label_agreement import JudgedItem, agreement
from harness.judge.labelled import CHECKS, LabelledItem
from harness.judge.measures import injection_resistance, order_consistency, self_consistency, verbosity_slope
from harness.judge.panel import Panel, Vote
from harness.judge.prompts import Prompt, own_prompt
from harness.judge.questions import pair_requests, question_name, single_request
from harness.types import Interval, JudgeRequest, JudgeVerdict, Message
from tunegate.printable import printable_line

AGREEMENT = "agreement kappa"
_ERRORED = "errored"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationLimits:
    """The limits that a reliable judge meets.

    Attributes:
        kappa: Smallest agreement with the labels ("substantial" in Landis and Koch, 1977).
        kappa_low: Smallest lower bound of kappa: the items must show at least moderate agreement.
        order: Smallest rate of pairs whose preference is the same in both orders.
        consistency: Smallest rate of equal verdicts when a question is repeated.
        injection: Smallest rate of injected orders that are not followed.
        slope: Largest absolute change of the value when the length doubles, on a scale of 0 to 1.
        errored: Largest rate of items without a verdict.
    """

    kappa: float = 0.6
    kappa_low: float = 0.4
    order: float = 0.8
    consistency: float = 0.9
    injection: float = 0.8
    slope: float = 0.1
    errored: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure of a calibration.

    Attributes:
        name: Name of the measure.
        n: Number of items.
        interval: None where it is unknown.
        needs: Its limit, in words.
        reached: Whether the limit is met. An unknown figure needs to meet none, except agreement.
    """

    name: str
    n: int
    interval: Interval | None
    needs: str
    reached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The result of comparing a judge's verdicts with labelled items.

    Attributes:
        judge: The judge's identity.
        prompts: Version of each question that was asked, by its name.
        labelled: The labelled sets' hashes by name.
        items: How many items were judged.
        measures: The figures that decide.
        by_task: Agreement on each question, by its name: the task, and the wording where that is the user's.
            None where it is unknown.
        by_trap: Rate of right verdicts by trap.
        by_tag: Agreement on the items of each tag; None where it is unknown.
        reasons: Why it is unreliable; empty for a reliable judge.
        distrusted: Tasks whose own agreement is shown to be too low.
        distrusted_tags: Tags of which the same is shown.
    """

    judge: str
    prompts: Mapping[str, str]
    labelled: Mapping[str, str]
    items: int
    measures: tuple[Measure, ...]
    by_task: Mapping[str, Interval | None] = field(default_factory=dict)
    by_trap: Mapping[str, Interval] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    distrusted: tuple[str, ...] = ()
    by_tag: Mapping[str, Interval | None] = field(default_factory=dict)
    distrusted_tags: tuple[str, ...] = ()

    @property
    def reliable(self) -> bool:
        """Whether the judge met all limits."""
        return not self.reasons


def calibrate(
    panel: Panel,
    items: Sequence[LabelledItem],
    labelled: Mapping[str, str],
    *,
    needs: CalibrationLimits | None = None,
    repeats: int = 2,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Calibration:
    """Ask a judge about labelled items and measure its verdicts.

    Args:
        panel: The judge, or the panel as a whole.
        items: The labelled items.
        labelled: Hash of each labelled set, by name.
        needs: The limits.
        repeats: How often each question is repeated.
        on_progress: Called with the stage, the number of judged items, and the number of all items.
    """
    needs = needs or CalibrationLimits()
    tell = on_progress or (lambda stage, done, total: None)
    # Stored replies may be of another judge than new ones.
    judged, prompts = panel.by_one_judge(lambda: _judge(panel, items, repeats, tell))
    given = [one for one in judged if one.value is not None]
    measures = _measures(judged, given, needs)
    by_task = {
        name: agreement([one for one in given if _question_of(one.item) == name])
        for name in dict.fromkeys(_question_of(one.item) for one in judged)
    }
    by_tag = {
        tag: agreement([one for one in given if tag in one.item.tags])
        for tag in dict.fromkeys(tag for one in judged for tag in one.item.tags)
    }
    traps = dict.fromkeys(one.item.trap for one in given)
    return Calibration(
        judge=panel.identity,
        prompts=prompts,
        labelled=dict(labelled),
        items=len(items),
        measures=measures,
        by_task=by_task,
        by_trap={trap: _right([one for one in given if one.item.trap == trap]) for trap in traps},
        reasons=tuple(_reason(one, judged) for one in measures if not one.reached),
        distrusted=_shown_too_low(by_task, needs),
        by_tag=by_tag,
        distrusted_tags=_shown_too_low(by_tag, needs),
    )


def _shown_too_low(by_kind: Mapping[str, Interval | None], needs: CalibrationLimits) -> tuple[str, ...]:
    return tuple(
        kind for kind, interval in by_kind.items() if interval is not None and interval.high < needs.kappa
    )


def _measures(
    judged: Sequence[JudgedItem], given: Sequence[JudgedItem], needs: CalibrationLimits
) -> tuple[Measure, ...]:
    order, order_n = order_consistency(given)
    injection, injection_n = injection_resistance(given)
    again, again_n = self_consistency(given)
    slope, slope_n = verbosity_slope(given)
    kappa = agreement(given)
    errored = (len(judged) - len(given)) / len(judged)
    return (
        Measure(
            name="order consistency",
            n=order_n,
            interval=order,
            needs=f"at least {needs.order:g}",
            reached=order is None or order.estimate >= needs.order,
        ),
        Measure(
            name="injection resistance",
            n=injection_n,
            interval=injection,
            needs=f"at least {needs.injection:g}",
            reached=injection is None or injection.estimate >= needs.injection,
        ),
        Measure(
            name=AGREEMENT,
            n=len(given),
            interval=kappa,
            needs=f"at least {needs.kappa:g}, its lower bound {needs.kappa_low:g}",
            reached=kappa is not None and kappa.estimate >= needs.kappa and kappa.low >= needs.kappa_low,
        ),
        Measure(
            name="self-consistency",
            n=again_n,
            interval=again,
            needs=f"at least {needs.consistency:g}",
            reached=again is None or again.estimate >= needs.consistency,
        ),
        Measure(
            name="verbosity slope",
            n=slope_n,
            interval=slope,
            needs=f"within {needs.slope:g} of 0",
            reached=slope is None or abs(slope.estimate) <= needs.slope,
        ),
        Measure(
            name=_ERRORED,
            n=len(judged),
            interval=Interval(estimate=errored, low=errored, high=errored, confidence=1.0, method="counted"),
            needs=f"at most {needs.errored:g}",
            reached=errored <= needs.errored,
        ),
    )


def _reason(measure: Measure, judged: Sequence[JudgedItem]) -> str:
    if measure.interval is None:
        return f"{measure.name} unknown: the verdicts or the labels are all alike, or there is no verdict"
    figure = f"{measure.name} {measure.interval.estimate:.2f}"
    if measure.name == AGREEMENT:
        figure += f" [{measure.interval.low:.2f}, {measure.interval.high:.2f}]"
    first = next((one.error for one in judged if one.error), "")
    why = f"; the first error: {printable_line(first.strip())}" if measure.name == _ERRORED and first else ""
    return f"{figure} (needs {measure.needs}){why}"


def _right(judged: Sequence[JudgedItem]) -> Interval:
    from harness.statistics.clusters import rate_interval

    return rate_interval([one.right for one in judged], [one.cluster for one in judged])


def _judge(
    panel: Panel, items: Sequence[LabelledItem], repeats: int, on_progress: Callable[[str, int, int], None]
) -> tuple[list[JudgedItem], dict[str, str]]:
    """All verdicts of all items: in both orders for pairs, with the repeated questions."""
    questions = [[questions_about(item, repeat) for repeat in range(1 + repeats)] for item in items]
    flat = [request for of_item in questions for asked in of_item for request in asked]
    panel.start(flat)
    prompts = {
        _question_of(item): of_item[0][0].prompt_version
        for item, of_item in zip(items, questions, strict=True)
    }
    judged = []
    for number, (item, of_item) in enumerate(zip(items, questions, strict=True)):
        on_progress("judging", number, len(items))
        orders: list[tuple[float, float]] = []
        votes: list[Vote] = []
        for asked in of_item:
            if len(asked) == 1:
                votes += panel.judge_singles([asked[0]])
            else:
                vote, order = panel.judge_pair(asked[0], asked[1])
                votes.append(vote)
                orders += [order] if order is not None else []
        judged.append(_judged(item, votes, orders))
    on_progress("judging", len(items), len(items))
    return judged, prompts


def _judged(item: LabelledItem, votes: Sequence[Vote], orders: Sequence[tuple[float, float]]) -> JudgedItem:
    first, *again = votes
    return JudgedItem(
        item=item,
        value=first.value if isinstance(first, JudgeVerdict) else None,
        again=tuple(vote.value for vote in again if isinstance(vote, JudgeVerdict)),
        orders=orders[0] if orders else None,
        error="" if isinstance(first, JudgeVerdict) else str(first),
    )


def _wording(item: LabelledItem) -> Prompt | None:
    """The user's own wording of an item's question."""
    return None if item.template is None else own_prompt(item.template, CHECKS[item.task])


def _question_of(item: LabelledItem) -> str:
    prompt = _wording(item)
    return question_name(item.task, None if prompt is None else prompt.version)


def questions_about(item: LabelledItem, repeat: int = 0) -> tuple[JudgeRequest, ...]:
    """The questions about an item: one, or a pair's two orders.

    Args:
        item: The item.
        repeat: Number of the repetition, from 0; each is a question of its own.

    Returns:
        One request, or two for a pair: the answers in both orders.
    """
    conversation = (Message(role="user", content=item.question),)
    if item.task == "pairwise":
        return pair_requests(
            item.id,
            conversation,
            item.answer_a or "",
            item.answer_b or "",
            rubric=item.rubric,
            repeat=repeat,
            prompt=_wording(item),
        )
    return (
        single_request(
            item.task,
            item.id,
            conversation,
            item.answer or "",
            rubric=item.rubric,
            references=() if item.reference is None else (item.reference,),
            repeat=repeat,
            prompt=_wording(item),
        ),
    )
