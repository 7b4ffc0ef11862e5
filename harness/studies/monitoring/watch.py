"""Production against the gated run: the rate of each kind of event, and whether it has risen.

An event's rate may be as large as the reference allows: the upper bound of its rate there, plus the tolerated
rise. Half of the level is spent on those bounds and half on the watch, both shared over all kinds of events.
So a watch of any length over answers that are no worse raises a false alarm with a probability of at most
the level.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from harness.statistics.clusters import wilson
from harness.statistics.rising_rates import largest_rate, watch_rate
from harness.studies.monitoring.events import USAGE_EVENTS, Limits, events_of, limits_of
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
        doubtful: Indices of answers whose text is doubtful, with the reasons, the most reasons first.
    """

    limits: Limits
    windows: tuple[Window, ...]
    level: float
    needed: float
    events: tuple[EventRate, ...]
    left_out: Mapping[str, str]
    doubtful: tuple[tuple[int, tuple[str, ...]], ...]

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
    """Compare answers of production with a reference.

    Args:
        answers: Of production, in order of time.
        reference: Of the gated run, or of an earlier time.
        checks: Checks without references that both have to pass.
        window: Length of a window; windows begin at whole multiples of it since 1970, in UTC.
        rise: How much larger than in the reference a rate may be.
        level: Probability of any false alarm, however long the watch is.
        slow_s: Seconds above which an answer is slow; by default the reference's 95th percentile.
    """
    limits = limits_of(reference, slow_s)
    before, now = events_of(reference, limits, checks), events_of(answers, limits, checks)
    left_out = dict(_untold(before, now))
    kinds = [name for name in now if name not in left_out]
    share = level / 2 / max(len(kinds), 1)
    places = _places(answers, window)
    rates = [_rate(name, before[name], now[name], places, rise, share) for name in kinds]
    found = [
        (index, names)
        for index in range(len(answers))
        if (names := tuple(name for name in kinds if name not in USAGE_EVENTS and now[name][index]))
    ]
    return Watch(
        limits=limits,
        windows=tuple(_window([answers[index] for index in each], window) for each in places),
        level=level,
        needed=1 / share,
        events=tuple(rates),
        left_out=left_out,
        doubtful=tuple(sorted(found, key=lambda each: (-len(each[1]), each[0]))),
    )


def _untold(
    before: Mapping[str, Sequence[bool | None]], now: Mapping[str, Sequence[bool | None]]
) -> Iterator[tuple[str, str]]:
    for name, told in now.items():
        if all(each is None for each in before[name]):
            yield name, "unknown in the reference"
        elif all(each is None for each in told):
            yield name, "unknown in the log"


def _places(answers: Sequence[ProductionAnswer], window: timedelta) -> list[list[int]]:
    """Indices of the answers by window, in order; windows without answers are left out."""
    found: dict[int, list[int]] = {}
    for index, answer in enumerate(answers):
        found.setdefault(int(answer.time.timestamp() // window.total_seconds()), []).append(index)
    return [found[number] for number in sorted(found)]


def _window(answers: Sequence[ProductionAnswer], length: timedelta) -> Window:
    seconds = sorted(each.latency_s for each in answers if each.latency_s is not None)
    tokens = [each.completion_tokens for each in answers if each.completion_tokens is not None]
    since = answers[0].time.timestamp() // length.total_seconds() * length.total_seconds()
    return Window(
        starts_at=datetime.fromtimestamp(since, UTC).isoformat(timespec="minutes"),
        answers=len(answers),
        latency_s=(seconds[len(seconds) // 2], seconds[int(0.95 * (len(seconds) - 1))]) if seconds else None,
        completion_tokens=sum(tokens) / len(tokens) if tokens else None,
    )


def _rate(
    name: str,
    before: Sequence[bool | None],
    now: Sequence[bool | None],
    places: Sequence[Sequence[int]],
    rise: float,
    share: float,
) -> EventRate:
    """One kind of event: the reference's largest rate, and the watch of the windows."""
    reference = _counted(before)
    limit = min(largest_rate(*reference, share) + rise, 1.0)
    windows = tuple(_counted([now[index] for index in each]) for each in places)
    rising = watch_rate(windows, limit, share)
    count, n = _counted(now)
    return EventRate(
        name=name,
        reference=reference,
        limit=limit,
        windows=windows,
        rate=wilson(count, n, _CONFIDENCE) if n else None,
        evidence=rising.evidence,
        alarm=rising.alarm,
        since=rising.since,
    )


def _counted(told: Sequence[bool | None]) -> tuple[int, int]:
    """How often it happened, and in how many answers that is known."""
    known = [each for each in told if each is not None]
    return sum(known), len(known)
