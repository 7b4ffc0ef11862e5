"""What was forgotten: probes by skill, and the change of the loss on general text."""

from collections.abc import Iterator

from harness.types import (
    Forgetting,
    GateRecord,
    Interval,
    Retention,
)
from reports.html import figures
from reports.html.text import one_line
from reports.html.view import (
    Estimate,
    ForgettingView,
    LossRow,
    RetentionRow,
)


def forgetting_views(record: GateRecord) -> Iterator[ForgettingView]:
    """Retained skills and the change on general text, compared with the baseline and with the base."""
    comparison = record.comparison
    if comparison is None:
        return
    if comparison.forgetting is not None:
        passages = tuple(_passages(record))
        yield _forgetting_view(comparison.forgetting, "forgetting", "Forgetting", "baseline", passages)
    if comparison.forgetting_since_base is not None:
        base = one_line(record.run.model.base_model)
        yield _forgetting_view(
            comparison.forgetting_since_base, "since-base", "Forgetting since the base", base, ()
        )


def _forgetting_view(
    forgetting: Forgetting, anchor: str, title: str, before: str, passages: tuple[LossRow, ...]
) -> ForgettingView:
    rows = [_retention_row(skill) for skill in forgetting.by_skill]
    if forgetting.overall is not None:
        rows.insert(0, _retention_row(forgetting.overall, all_skills=True))
    change = forgetting.loss_change
    rates = [skill.rate for skill in (forgetting.overall, *forgetting.by_skill) if skill is not None]
    return ForgettingView(
        anchor=anchor,
        title=title,
        before=before,
        rows=tuple(rows),
        confidence=_confidence(rates[0]) if rates else "",
        loss_change=None if change is None else _loss_change(change),
        other_text=tuple(_kind_of_text(kind, each) for kind, each in forgetting.loss_by_kind.items()),
        divergence=None if forgetting.divergence is None else _loss_change(forgetting.divergence),
        refusals="" if forgetting.refusals is None else "{} → {}".format(*forgetting.refusals),
        loss_confidence="" if change is None else _confidence(change),
        tripped=forgetting.tripped,
        passages=passages,
    )


def _confidence(interval: Interval) -> str:
    return f"{interval.confidence * 100:g}\u00a0%"


def _loss_change(change: Interval) -> Estimate:
    low, high = figures.signed(change.low, 3), figures.signed(change.high, 3)
    return Estimate(value=figures.signed(change.estimate, 3), interval=f"[{low}, {high}]")


def _kind_of_text(kind: str, change: Interval) -> str:
    shown = _loss_change(change)
    return f"{one_line(kind)} {shown.value} {shown.interval}"


def _retention_row(retention: Retention, *, all_skills: bool = False) -> RetentionRow:
    rate = retention.rate
    return RetentionRow(
        skill="all probes" if all_skills else retention.skill,
        kept=f"{figures.count(retention.retained)} of {figures.count(retention.passed_by_baseline)}",
        rate=Estimate(
            value=figures.percent(rate.estimate), interval=f"[{rate.low * 100:.1f}, {rate.high * 100:.1f}]"
        ),
        low=round(rate.low * 100, 1),
        estimate=round(rate.estimate * 100, 1),
        high=round(rate.high * 100, 1),
        all_skills=all_skills,
    )


def _passages(record: GateRecord) -> Iterator[LossRow]:
    before = {loss.passage: loss for loss in record.baseline.text_losses} if record.baseline else {}
    for loss in record.run.text_losses:
        other = before.get(loss.passage)
        yield LossRow(
            passage=loss.passage,
            baseline="–" if other is None else f"{other.nats_per_token:.3f}",
            candidate=f"{loss.nats_per_token:.3f}",
            change="–" if other is None else figures.signed(loss.nats_per_token - other.nats_per_token, 3),
            tokens=figures.count(loss.tokens),
        )
