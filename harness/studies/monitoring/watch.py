"""Production against the gated run: the rate of each kind of event, and whether it has risen.

An event's rate may be as large as the reference allows: the upper bound of its rate there, plus the tolerated
rise. Half of the level is spent on those bounds and half on the watch, both shared over all kinds of events.
So a watch of any length over answers that are no worse raises a false alarm with a probability of at most
the level.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from harness.statistics.clusters import wilson
from harness.statistics.rising_rates import largest_rate, watch_rate
from harness.studies.monitoring.events import Limits, events_of, limits_of
from harness.studies.monitoring.ledger import (
    Ledger,
    WindowTally,
    add,
    counted,
    hash_of_checks,
    seconds_at,
)
from harness.studies.monitoring.production_log import ProductionAnswer
from harness.types import Check, Interval

LEVEL = 0.05
RISE = 0.05
_CONFIDENCE = 0.90


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One stretch of time.

    Attributes:
        starts_at: Its start, ISO 8601 in UTC.
        answers: How many requests it has.
        latency_s: Seconds in the middle, and at the 95th percentile; None if unknown.
        completion_tokens: Mean tokens of an answer; None if unknown.
    """

    starts_at: str
    answers: int
    latency_s: tuple[float, float] | None
    completion_tokens: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRate:
    """How often one kind of event happens.

    Attributes:
        name: The kind of event.
        reference: How often in the reference, and out of how many answers that tell.
        limit: Largest rate without an alarm.
        windows: The same for each window.
        rate: Its rate over all windows with an interval of 90 %; None if no answer tells.
        evidence: How strongly each window and those before speak for a rate above the limit; 1 is nothing.
        alarm: Index of the window that raised the alarm; None if none did.
        since: Index of the window from which on the evidence is strongest.
    """

    name: str
    reference: tuple[int, int]
    limit: float
    windows: tuple[tuple[int, int], ...]
    rate: Interval | None
    evidence: tuple[float, ...]
    alarm: int | None
    since: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Everything about the answers of a log.

    Attributes:
        limits: What counts as slow, long and short.
        needed: Evidence from which on there is an alarm.
        events: The kinds of events that the reference and the log tell about.
        left_out: Kinds of events that one of them does not tell about, with the reason.
    """

    limits: Limits
    windows: tuple[Window, ...]
    level: float
    needed: float
    events: tuple[EventRate, ...]
    left_out: Mapping[str, str]

    @property
    def has_risen(self) -> bool:
        """Whether any kind of event raised an alarm."""
        return any(each.alarm is not None for each in self.events)


def watch(
    answers: Sequence[ProductionAnswer],
    reference: Sequence[ProductionAnswer],
    checks: Sequence[Check] = (),
    *,
    window: timedelta = timedelta(days=1),
    rise: float = RISE,
    level: float = LEVEL,
    slow_s: float | None = None,
) -> Watch:
    """Compare answers of production with a reference, all at once.

    Args:
        answers: Of production, in order of time.
        reference: Of the gated run, or of an earlier time.
        checks: Checks without references that both have to pass.
        window: Length of a window; windows begin at whole multiples of it since 1970, in UTC.
        rise: How much larger than in the reference a rate may be.
        level: Probability of any false alarm, however long the watch is.
        slow_s: Seconds above which an answer is slow; by default the reference's 95th percentile.
    """
    begun = begin(reference, checks, window=window, rise=rise, level=level, slow_s=slow_s)
    events = events_of(answers, begun.limits, checks)
    return conclude(add(begun, answers, events))[1]


def begin(
    reference: Sequence[ProductionAnswer],
    checks: Sequence[Check] = (),
    *,
    judged: Mapping[str, tuple[int, int]] | None = None,
    name: str = "",
    window: timedelta = timedelta(days=1),
    rise: float = RISE,
    level: float = LEVEL,
    slow_s: float | None = None,
) -> Ledger:
    """An empty ledger with what the reference allows.

    Args:
        reference: Answers of the gated run, or of an earlier time.
        checks: Checks without references.
        judged: For each judged check how often it failed there, and in how many answers.
        name: The reference in words.
        window: Length of a window.
        rise: How much larger than in the reference a rate may be.
        level: Probability of any false alarm.
        slow_s: Seconds above which an answer is slow; by default the reference's 95th percentile.
    """
    limits = limits_of(reference, slow_s)
    events = events_of(reference, limits, checks)
    return Ledger(
        reference=name,
        window_s=window.total_seconds(),
        rise=rise,
        level=level,
        checks=hash_of_checks(checks),
        limits=limits,
        before={**{each: counted(told) for each, told in events.items()}, **(judged or {})},
    )


def conclude(ledger: Ledger) -> tuple[Ledger, Watch]:
    """What was counted so far against what the reference allows.

    Args:
        ledger: With at least one window.

    Returns:
        The ledger with new alarms, which stay; and the watch.
    """
    told = [name for name, (_, n) in ledger.before.items() if n]
    # Shared over all that the reference tells, so that it stays the same from look to look.
    share = ledger.level / 2 / max(len(told), 1)
    left_out = {name: "unknown in the reference" for name in ledger.before if name not in told}
    rates = []
    for name in told:
        if any(window.events.get(name, (0, 0))[1] for window in ledger.windows):
            rates.append(_rate(name, ledger, share))
        else:
            left_out[name] = "unknown in the log"
    raised = {
        each.name: (each.alarm, each.since)
        for each in rates
        if each.alarm is not None and each.since is not None
    }
    found = Watch(
        limits=ledger.limits,
        windows=tuple(_window(each, ledger.window_s) for each in ledger.windows),
        level=ledger.level,
        needed=1 / share,
        events=tuple(rates),
        left_out=left_out,
    )
    return replace(ledger, alarms=raised), found


def _window(tally: WindowTally, length: float) -> Window:
    median, late = seconds_at(tally, 0.5), seconds_at(tally, 0.95)
    tokens, telling = tally.tokens
    return Window(
        starts_at=datetime.fromtimestamp(tally.number * length, UTC).isoformat(timespec="minutes"),
        answers=tally.answers,
        latency_s=None if median is None or late is None else (median, late),
        completion_tokens=tokens / telling if telling else None,
    )


def _rate(name: str, ledger: Ledger, share: float) -> EventRate:
    """One kind of event: the reference's largest rate, and the watch of the windows."""
    reference = ledger.before[name]
    limit = min(largest_rate(*reference, share) + ledger.rise, 1.0)
    windows = tuple(each.events.get(name, (0, 0)) for each in ledger.windows)
    rising = watch_rate(windows, limit, share)
    # An alarm of an earlier look stays, whatever came later in its window.
    alarm, since = ledger.alarms.get(name, (rising.alarm, rising.since))
    count, n = (sum(each) for each in zip(*windows, strict=True))
    return EventRate(
        name=name,
        reference=reference,
        limit=limit,
        windows=windows,
        rate=wilson(count, n, _CONFIDENCE) if n else None,
        evidence=rising.evidence,
        alarm=alarm,
        since=since,
    )
