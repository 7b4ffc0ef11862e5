"""What a monitor has counted so far: enough to go on with another day's answers as if all were read at once.

The answers themselves are not kept, except the newest doubtful ones, cut. What the reference allows is noted
at the start, so that every later look is against the same limits.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import zip_longest
from pathlib import Path

from harness.errors import DataError
from harness.studies.monitoring.events import USAGE_EVENTS, Events, Limits
from harness.studies.monitoring.log_files import ReadFile
from harness.studies.monitoring.production_log import ProductionAnswer
from harness.types import Check, MetricFacts
from harness.types.storage import DamagedFactsError, decode_value, encode, parse_json, write_whole

VERSION = 1
# Neighbouring buckets of seconds differ by 1 %.
_STEP = math.log(1.01)
_LEAST_S = 1e-6
_MOST_RECENT, _MOST_DOUBTFUL, _LONGEST = 20_000, 30, 400


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowTally:
    """One stretch of time.

    Attributes:
        number: How many windows are before it since 1970.
        seconds: Answers by the bucket of their latency.
        tokens: Tokens of all answers, and how many answers that is.
        events: For each kind of event how often it happened, and in how many answers that is known.
        judged: Answers that were shown to a judge.
    """

    number: int
    answers: int = 0
    seconds: Mapping[int, int] = field(default_factory=dict)
    tokens: tuple[int, int] = (0, 0)
    events: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    judged: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtfulText:
    """An answer that a person should look at; its texts are cut."""

    id: str
    time: str
    reasons: tuple[str, ...]
    prompt: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Everything that a monitor needs to go on.

    Attributes:
        version: Of this form.
        reference: What the answers are compared with, in words.
        checks: A hash of the watched checks.
        before: For each kind of event, how often in the reference, and out of how many answers that tell.
        alarms: For each kind of event with an alarm, the windows of alarm and beginning, by index.
        files: What was read.
        recent: Ids of the newest answers, so that none counts twice.
        doubtful: The newest doubtful answers, newest first.
        metrics: How the checks were scored so far, by their types; those of a state of an earlier version, or
            that nothing was counted of, are missing.
    """

    version: int = VERSION
    reference: str
    window_s: float
    rise: float
    level: float
    checks: str
    limits: Limits
    before: Mapping[str, tuple[int, int]]
    windows: tuple[WindowTally, ...] = ()
    alarms: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    files: tuple[ReadFile, ...] = ()
    recent: tuple[str, ...] = ()
    doubtful: tuple[DoubtfulText, ...] = ()
    metrics: Mapping[str, MetricFacts] = field(default_factory=dict)

    @property
    def window(self) -> timedelta:
        """Length of a window."""
        return timedelta(seconds=self.window_s)


def hash_of_checks(checks: Sequence[Check]) -> str:
    """A hash of a list of checks."""
    return hashlib.sha256(repr([check.content for check in checks]).encode()).hexdigest()[:16]


def counted(told: Iterable[bool | None]) -> tuple[int, int]:
    """How often it happened, and in how many answers that is known."""
    known = [each for each in told if each is not None]
    return sum(known), len(known)


def places_of(ledger: Ledger, answers: Sequence[ProductionAnswer]) -> dict[int, list[int]]:
    """Indices of new answers by window; one that comes after its window has ended counts in the last one.

    So no window that was looked at changes afterwards, except the last.

    Args:
        ledger: What was counted before.
        answers: New answers, in order of time.

    Returns:
        By the window's number, in order.
    """
    first = ledger.windows[-1].number if ledger.windows else None
    found: dict[int, list[int]] = {}
    for index, answer in enumerate(answers):
        number = int(answer.time.timestamp() // ledger.window_s)
        found.setdefault(number if first is None else max(number, first), []).append(index)
    return dict(sorted(found.items()))


def unseen(ledger: Ledger, answers: Iterable[ProductionAnswer]) -> list[ProductionAnswer]:
    """The answers whose ids are not among the newest that were counted.

    Args:
        ledger: What was counted before.
        answers: Answers in any order, which they keep.
    """
    seen = set(ledger.recent)
    return [answer for answer in answers if _short(answer.id) not in seen]


def add(
    ledger: Ledger,
    answers: Sequence[ProductionAnswer],
    events: Events,
    judged: frozenset[int] = frozenset(),
) -> Ledger:
    """The ledger with further answers.

    Args:
        ledger: What was counted before.
        answers: New answers, in order of time.
        events: For each kind of event, whether it happened in each of them.
        judged: Indices of those that a judge saw.
    """
    tallies = {each.number: each for each in ledger.windows}
    for number, indices in places_of(ledger, answers).items():
        before = tallies.get(number, WindowTally(number=number))
        tallies[number] = _tally(before, answers, indices, events, judged)
    doubtful = [
        _doubtful(answers[index], reasons) for index, reasons in doubtful_of(events, len(answers)).items()
    ]
    return replace(
        ledger,
        windows=tuple(tallies[number] for number in sorted(tallies)),
        recent=(*ledger.recent, *(_short(each.id) for each in answers))[-_MOST_RECENT:],
        doubtful=(*reversed(doubtful), *ledger.doubtful)[:_MOST_DOUBTFUL],
    )


def sample_of(
    ledger: Ledger, answers: Sequence[ProductionAnswer], *, per_window: int, most: int, seed: int
) -> frozenset[int]:
    """Indices of new answers that a judge sees; which ones depends on their ids and the seed alone.

    Where not all can be seen the windows have equal shares, and the newest have what is left over.

    Args:
        ledger: What was counted before.
        answers: New answers, in order of time.
        per_window: Largest number in a window, those of earlier looks included.
        most: Largest number in all.
        seed: Another seed chooses others.

    Returns:
        The indices in ``answers``.
    """
    judged = {each.number: each.judged for each in ledger.windows}
    of_windows: list[list[int]] = []
    for number, indices in places_of(ledger, answers).items():
        told = sorted(
            (_short(f"{seed} {answers[index].id}"), index)
            for index in indices
            if answers[index].text is not None
        )
        of_windows.append([index for _, index in told[: max(per_window - judged.get(number, 0), 0)]])
    in_turn = [index for row in zip_longest(*reversed(of_windows)) for index in row if index is not None]
    return frozenset(in_turn[:most])


def unjudged(ledger: Ledger, answers: Sequence[ProductionAnswer], sample: frozenset[int]) -> list[int]:
    """Numbers of the windows with new answers of which a judge sees none, and saw none before.

    Args:
        ledger: What was counted before.
        answers: New answers, in order of time.
        sample: Indices of those that a judge sees.

    Returns:
        In order.
    """
    judged = {each.number for each in ledger.windows if each.judged}
    return [
        number
        for number, indices in places_of(ledger, answers).items()
        if number not in judged
        and any(answers[index].text is not None for index in indices)
        and not sample.intersection(indices)
    ]


def doubtful_of(events: Events, count: int) -> dict[int, tuple[str, ...]]:
    """By index, the kinds of events for which an answer's text is doubtful.

    Args:
        events: For each kind of event, whether it happened in each answer.
        count: How many answers there are.

    Returns:
        Only indices with a reason, in order.
    """
    names = [name for name in events if name not in USAGE_EVENTS]
    found = {index: tuple(name for name in names if events[name][index]) for index in range(count)}
    return {index: reasons for index, reasons in found.items() if reasons}


def _tally(
    before: WindowTally,
    answers: Sequence[ProductionAnswer],
    indices: Sequence[int],
    events: Events,
    judged: frozenset[int],
) -> WindowTally:
    seconds, (tokens, telling) = dict(before.seconds), before.tokens
    for index in indices:
        answer = answers[index]
        if answer.latency_s is not None:
            bucket = round(math.log(max(answer.latency_s, _LEAST_S)) / _STEP)
            seconds[bucket] = seconds.get(bucket, 0) + 1
        if answer.completion_tokens is not None:
            tokens, telling = tokens + answer.completion_tokens, telling + 1
    counts = dict(before.events)
    for name, told in events.items():
        happened, known = counted(told[index] for index in indices)
        earlier = counts.get(name, (0, 0))
        counts[name] = (earlier[0] + happened, earlier[1] + known)
    return replace(
        before,
        answers=before.answers + len(indices),
        seconds=seconds,
        tokens=(tokens, telling),
        events=counts,
        judged=before.judged + len(judged.intersection(indices)),
    )


def seconds_at(tally: WindowTally, share: float) -> float | None:
    """The latency below which a share of a window's answers is, to 1 %; None if it is unknown.

    Args:
        tally: The window.
        share: From 0 to 1.
    """
    total = sum(tally.seconds.values())
    passed = 0
    for bucket, count in sorted(tally.seconds.items()):
        passed += count
        if passed >= share * total:
            return math.exp(bucket * _STEP)
    return None


def write_ledger(path: Path, ledger: Ledger) -> None:
    """Store a ledger, whole or not at all.

    Args:
        path: The file.
        ledger: What was counted so far.
    """
    write_whole(path, encode({"kind": "tunegate monitor", "ledger": ledger}) + "\n")


def is_ledger(path: Path) -> bool:
    """Whether a file is a monitor's state."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return b'"tunegate monitor"' in file.read(40)


def read_ledger(path: Path) -> Ledger:
    """A stored ledger.

    Raises:
        DataError: It is none, or of a later version.
    """
    remedy = "name another file, or remove it to begin anew"
    try:
        facts = parse_json(path.read_text(encoding="utf-8"))["ledger"]
        if facts["version"] != VERSION:
            later = f"a state of version {facts['version']}; this tunegate reads {VERSION}"
            raise DataError(path, None, later)
        return decode_value(Ledger, facts)
    except OSError as error:
        raise DataError(path, None, f"can't be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, DamagedFactsError) as error:
        raise DataError(path, None, f"not a state of tunegate monitor: {remedy}") from error


def _doubtful(answer: ProductionAnswer, reasons: tuple[str, ...]) -> DoubtfulText:
    prompt = answer.messages[-1].content if answer.messages else ""
    return DoubtfulText(
        id=answer.id[:_LONGEST],
        time=answer.time.isoformat(timespec="seconds"),
        reasons=reasons,
        prompt=_cut(prompt),
        answer=_cut(answer.text or ""),
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _short(name: str) -> str:
    """Enough of a hash to distinguish ids."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
