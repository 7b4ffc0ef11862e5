"""One look of ``tunegate monitor``: read what is new, count it, tell, and write the files."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import typer

from harness.cli.deferred import run_sibling
from harness.errors import DataError, SettingsError
from tunegate.printable import printable_line, say
from tunegate.project import user_path
from tunegate.streams import prints_aside

if TYPE_CHECKING:
    from harness.judge.panel import Panel
    from harness.studies.monitoring.events import Events
    from harness.studies.monitoring.ledger import Ledger
    from harness.studies.monitoring.production_log import ProductionAnswer
    from harness.studies.monitoring.watch import Watch, Window
    from harness.studies.monitoring.watched_checks import WatchedChecks
    from harness.types import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one look is to do: the command's options."""

    context: typer.Context
    logs: Sequence[Path]
    reference: str
    golden: Path | None
    window: timedelta
    rise: float
    slow_after: float | None
    judge: tuple[str, ...]
    judged: int
    judge_most: int
    seed: int
    state: Path | None
    page: Path | None
    candidates: Path | None
    most: int
    prometheus: Path | None
    history: str | None
    as_json: bool


def look(order: Order) -> bool:
    """Read what is new, and tell of all that was counted; whether a rate has risen."""
    from harness.cli.kept import kept_in, open_cache
    from harness.cli.options import check_output
    from harness.types.storage import one_writer

    check_output(order.prometheus, "--prometheus", "# HELP tunegate")
    if order.candidates is not None and order.candidates.exists():
        raise SettingsError(f"--candidates={order.candidates}: it exists already: name a new file")
    with nullcontext() if order.state is None else one_writer(order.state):
        if not order.judge:
            return _counted_look(order, None)
        from harness.run.judging import open_panel
        from harness.settings import settings_of_command

        with open_cache(kept_in(order.history) / "cache.sqlite") as cache:
            panel = open_panel(settings_of_command(judge=order.judge), cache)
            assert panel is not None
            with panel:
                return _counted_look(order, panel)


def _counted_look(order: Order, panel: "Panel | None") -> bool:
    from harness.studies.monitoring.ledger import add, unjudged, unseen, write_ledger
    from harness.studies.monitoring.production_log import read_answers, read_new_answers
    from harness.studies.monitoring.watch import conclude

    with prints_aside(order.as_json):
        watched, notes = _checks(order)
        ledger = _begun(order, watched, panel)
        notes += _unknown_judges(ledger, watched)
        # A judge on this machine is known before it is asked.
        ledger = _scored_alike(order, ledger, watched, panel)
    others = [path for path in (order.state, user_path(order.reference)) if path is not None]
    if order.state is None:
        answers = read_answers(order.logs, others)
    else:
        answers, files = read_new_answers(order.logs, ledger.files, others)
        answers = unseen(ledger, answers)
        ledger = replace(ledger, files=files)
    with prints_aside(order.as_json):
        ledger, events, sample = _by_one_judge(order, ledger, answers, watched, panel)
        ledger = _scored_alike(order, ledger, watched, panel)
    missed = unjudged(ledger, answers, sample)
    ledger = add(ledger, answers, events, sample)
    if not ledger.windows:
        raise DataError(order.logs[0], None, "it has no answers: log requests with their answers")
    ledger, found = conclude(ledger)
    notes += [f"{name} is not watched: {reason}" for name, reason in found.left_out.items()]
    if panel is not None:
        notes.append(_judging_note(events, sample, panel))
        if missed:
            last = f"{datetime.fromtimestamp(missed[-1] * ledger.window_s, UTC):%Y-%m-%d %H:%M} UTC"
            notes.append(
                f"--judge-most={order.judge_most}: no answer was judged in the oldest windows "
                f"({len(missed)} of the new ones, up to {last}): allow more, or look more often"
            )
    if order.state is not None:
        write_ledger(order.state, ledger)
    _tell(order, found, notes, len(answers))
    _write(order, ledger, found, answers, events)
    return found.has_risen


def _begun(order: Order, watched: "WatchedChecks", panel: "Panel | None") -> "Ledger":
    """The stored ledger, or a new one with what the reference allows."""
    from harness.studies.monitoring.events import answers_of_run, judged_events, judged_in_run, names_of
    from harness.studies.monitoring.ledger import counted, hash_of_checks, read_ledger, sample_of
    from harness.studies.monitoring.production_log import read_answers
    from harness.studies.monitoring.reference_scorers import facts_of
    from harness.studies.monitoring.watch import begin

    every_check = (*watched.checks, *watched.judged)
    if order.state is not None and order.state.exists():
        found = read_ledger(order.state)
        begun = (found.window_s, found.rise, found.checks)
        if begun != (order.window.total_seconds(), order.rise, hash_of_checks(every_check)):
            raise SettingsError(
                f"--state={order.state}: begun with another --window, --rise or --golden, or without the "
                f"judge: give the same, or name a new file"
            )
        limit = found.limits.slow_s
        if order.slow_after not in {None, limit}:
            known = "no limit" if limit is None else f"{limit:g} s"
            raise SettingsError(
                f"--slow-after {order.slow_after:g}: --state={order.state} was begun with {known}: leave the "
                f"option out, or name a new file"
            )
        return found
    if (path := user_path(order.reference)).is_file():
        answers, run = read_answers([path]), None
    else:
        run = _stored_run(order)
        answers = answers_of_run(run)
    options: dict[str, Any] = {"window": order.window, "rise": order.rise, "slow_s": order.slow_after}
    found = begin(answers, watched.checks, name=order.reference, **options)
    judged: dict[str, tuple[int, int]] = {}
    if run is not None:
        judged = judged_in_run(run, watched.judged)
    elif panel is not None and watched.judged:
        each = order.judge_most // len(watched.judged)
        sample = sample_of(found, answers, per_window=each, most=each, seed=order.seed)
        told = judged_events(answers, watched.judged, sample, panel)
        judged = {name: counted(told[name]) for name in names_of(watched.judged)}
    with_verdicts = {
        check.type
        for name, check in zip(names_of(watched.judged), watched.judged, strict=True)
        if judged.get(name, (0, 0))[1]
    }
    if run is None:
        facts = facts_of(watched, "" if panel is None else panel.scorer)
    else:
        # All that isn't judged is scored today, in a stored run too.
        facts = {name: each for name, each in run.metrics.items() if name in with_verdicts}
    before = {**found.before, **judged}
    return replace(found, before=before, checks=hash_of_checks(every_check), metrics=facts)


def _scored_alike(
    order: Order, ledger: "Ledger", watched: "WatchedChecks", panel: "Panel | None"
) -> "Ledger":
    """The ledger with how its checks are scored.

    Raises:
        SettingsError: Those that were counted before, in the reference too, were scored otherwise.
    """
    from harness.studies.monitoring.reference_scorers import facts_of, joined_facts, scored_otherwise

    now = facts_of(watched, "" if panel is None else panel.scorer)
    if not (reason := scored_otherwise(now, ledger.metrics)):
        return replace(ledger, metrics=joined_facts(now, ledger.metrics))
    if order.state is not None and order.state.exists():
        raise SettingsError(f"--state={order.state}: {reason}: watch with the same, or name a new file")
    raise SettingsError(
        f"--reference={order.reference}: {reason}: take the run's own judge, or gate again with this one"
    )


def _unknown_judges(ledger: "Ledger", watched: "WatchedChecks") -> list[str]:
    """A line for each judged check of which it is not recorded who judged what was counted before."""
    from harness.studies.monitoring.events import names_of

    return [
        f"{name}: it is not recorded which judge gave the verdicts before: another one may be why they differ"
        for name, check in zip(names_of(watched.judged), watched.judged, strict=True)
        if ledger.before.get(name, (0, 0))[1]
        and ((facts := ledger.metrics.get(check.type)) is None or facts.scored_by is None)
    ]


def _stored_run(order: Order) -> "Run":
    from harness.history.location import history_place
    from harness.history.store import open_history
    from harness.studies.monitoring.events import answers_of_run

    with open_history(history_place(order.history), to_read=True) as stored:
        run = stored.load_run(order.reference)
    if all(each.text is None for each in answers_of_run(run)):
        raise SettingsError(
            f"--reference={order.reference}: this run has no answers to compare with: choose another run"
        )
    return run


def _checks(order: Order) -> "tuple[WatchedChecks, list[str]]":
    from harness.golden.load import load_golden_set
    from harness.studies.monitoring.watched_checks import WatchedChecks, common_checks

    if order.golden is None:
        return WatchedChecks(), []
    found = common_checks(load_golden_set(order.golden).cases, with_judge=bool(order.judge))
    notes = [f"check {name} is not watched: it needs more than an answer" for name in found.left_out]
    if not found.checks and not found.judged:
        raise SettingsError(
            f"--golden={order.golden}: no check without a reference is in all of its cases: "
            f"add one under defaults"
        )
    if order.judge and not found.judged:
        raise SettingsError(
            f"--golden={order.golden}: no judged check is in all of its cases: add one, or leave --judge out"
        )
    return found, notes


def _by_one_judge(
    order: Order,
    ledger: "Ledger",
    answers: "Sequence[ProductionAnswer]",
    watched: "WatchedChecks",
    panel: "Panel | None",
) -> "tuple[Ledger, Events, frozenset[int]]":
    """The ledger, with the same judge's verdicts on a log as reference, and what happened in new answers."""
    if panel is None:
        return ledger, *_events(order, ledger, answers, watched, panel)
    from harness.studies.monitoring.reference_scorers import facts_of, scored_otherwise

    renewals, found = panel.renewals, _events(order, ledger, answers, watched, panel)
    # Where all verdicts are stored, nobody knows whether the judge of before is today's after all.
    if scored_otherwise(facts_of(watched, panel.scorer), ledger.metrics) and panel.ask_anew():
        found = _events(order, ledger, answers, watched, panel)
    if panel.renewals != renewals:
        ledger = replace(_begun(order, watched, panel), files=ledger.files)
    return ledger, *found


def _events(
    order: Order,
    ledger: "Ledger",
    answers: "Sequence[ProductionAnswer]",
    watched: "WatchedChecks",
    panel: "Panel | None",
) -> "tuple[Events, frozenset[int]]":
    """What happened in each new answer, and which of them the judge saw."""
    from harness.studies.monitoring.events import events_of, judged_events
    from harness.studies.monitoring.ledger import sample_of

    events: Events = events_of(answers, ledger.limits, watched.checks)
    if panel is None:
        return events, frozenset()
    most = order.judge_most // len(watched.judged)
    sample = sample_of(ledger, answers, per_window=order.judged, most=most, seed=order.seed)
    return {**events, **judged_events(answers, watched.judged, sample, panel)}, sample


def _judging_note(events: "Events", sample: frozenset[int], panel: "Panel") -> str:
    from harness.run.judging import describe_usage
    from harness.studies.monitoring.events import USAGE_EVENTS

    names = [name for name in events if name not in USAGE_EVENTS]
    missing = sum(any(events[name][index] is None for name in names) for index in sample)
    unheard = f"; no verdict on {missing} of them" if missing else ""
    return f"{panel.identity} judged {len(sample)} new answers{unheard}: {describe_usage(panel.usage)}"


def _tell(order: Order, found: "Watch", notes: Sequence[str], new: int) -> None:
    from harness.types.storage import to_json

    if order.as_json:
        say(to_json({"reference": order.reference, "watch": found, "notes": notes, "new_answers": new}))
    else:
        _show(
            found, [*notes, *([] if order.state is None else [f"{new} answers are new since the last look"])]
        )


def _write(
    order: Order,
    ledger: "Ledger",
    found: "Watch",
    answers: "Sequence[ProductionAnswer]",
    events: "Events",
) -> None:
    """The files that were asked for."""
    from harness.studies.monitoring.exposition import exposition
    from harness.studies.monitoring.ledger import write_ledger
    from harness.types.storage import write_whole

    if order.prometheus is not None:
        write_whole(order.prometheus, exposition(found))
    if order.candidates is not None:
        said = _write_cases(order.candidates, answers, events, order.most)
        say(said, err=order.as_json)
    if order.page is not None:
        with TemporaryDirectory(prefix="tunegate-") as folder:
            record = Path(folder) / "monitor.json"
            write_ledger(record, ledger)
            with prints_aside(order.as_json):
                run_sibling(order.context, "report", [str(record), f"--output={order.page}"])


def _write_cases(path: Path, answers: "Sequence[ProductionAnswer]", events: "Events", most: int) -> str:
    """Write the doubtful new answers' conversations, and say how many."""
    from harness.authoring.append import name_of
    from harness.authoring.doubtful_cases import DoubtfulAnswer, doubtful_set
    from harness.studies.monitoring.ledger import doubtful_of
    from harness.types.storage import write_whole

    found = doubtful_of(events, len(answers))
    doubtful = (
        DoubtfulAnswer(
            messages=(answer := answers[index]).messages,
            description=f"{answer.time:%Y-%m-%d}, {answer.id}: {', '.join(reasons)}",
            refused="refused" in reasons,
        )
        # The most reasons first.
        for index, reasons in sorted(found.items(), key=lambda each: (-len(each[1]), each[0]))
    )
    text, count = doubtful_set(name_of(path), doubtful, most)
    if not count:
        return "no doubtful answer: no cases are written"
    write_whole(path, text)
    return f"wrote {count} case{'s' if count > 1 else ''} to {path}"


def _show(found: "Watch", notes: Sequence[str]) -> None:
    from rich.table import Table

    from harness.presentation.console import open_console

    console = open_console()
    first, last = found.windows[0], found.windows[-1]
    total = sum(each.answers for each in found.windows)
    console.print(f"{total} answers in {len(found.windows)} windows, {_shown(first)} to {_shown(last)} UTC")
    if last.latency_s is not None:
        console.print(
            f"latency in the last window: median {last.latency_s[0]:.2f} s, 95 % {last.latency_s[1]:.2f} s"
        )
    table = Table(
        "event", "reference", "limit", "in production", "n", "last window", "evidence", "", box=None
    )
    for each in found.events:
        (count, n), rate = each.windows[-1], each.rate
        table.add_row(
            printable_line(each.name),
            f"{each.reference[0]}/{each.reference[1]}",
            f"{each.limit:.3f}",
            "–" if rate is None else f"{rate.estimate:.3f} [{rate.low:.3f}, {rate.high:.3f}]",
            str(sum(n for _, n in each.windows)),
            f"{count}/{n}",
            f"{each.evidence[-1]:.2g} of {found.needed:.0f}",
            "" if each.alarm is None else "RISEN",
        )
    console.print(table)
    for each in found.events:
        if each.alarm is not None and each.since is not None:
            since, alarm = _shown(found.windows[each.since]), _shown(found.windows[each.alarm])
            console.print(f"{printable_line(each.name)} has risen since {since}, shown by {alarm}")
    for note in notes:
        console.print(f"• {printable_line(note)}", style="dim", markup=False)


def _shown(window: "Window") -> str:
    """Start of a window, to the minute, in UTC."""
    return window.starts_at[:16].replace("T", " ")
