"""Judges in a session: opened from the settings, asked while models still answer.

Lost cases are counted meanwhile, for whoever may want to stop.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import cycle

from harness.comparison.pairing import answers_of
from harness.comparison.times import asks_pairwise
from harness.engines.base import BASE, BASELINE, Engine
from harness.engines.workers.functions import Dealer
from harness.errors import SettingsError
from harness.golden.schema import CHECK_TYPES, base_type, decides
from harness.judge.calibration import AGREEMENT, Calibration
from harness.judge.client import ReplyStore
from harness.judge.open import open_judge
from harness.judge.panel import Panel, describe_agreement
from harness.metrics.definition import ScoringRequest
from harness.metrics.judged import ask_beforehand, passes_so_far, prepare_judging, question_of, task_of
from harness.run.distrust import Distrust, distrust_of
from harness.run.generation import OnAnswers, OpenEngine
from harness.run.scoring import Judging, answer_apart, score_cases
from harness.settings import Settings
from harness.types import (
    Check,
    Completion,
    ExecutionPlan,
    GoldenCase,
    GoldenSet,
    JudgeUsage,
    ModelRef,
    Outcome,
    Run,
)


def count_lost(
    cases: Sequence[GoldenCase],
    stored: Run | None,
    on_lost: Callable[[int], None],
    judging: Judging | None = None,
) -> OnAnswers:
    """A function that counts the cases that a baseline passes and a candidate fails, as answers arrive.

    Only cases of one answer are counted whose checks are computed at once (no encoder, no code), or by a
    judge that answers meanwhile: such a case counts as soon as its replies are there.

    Args:
        cases: The cases that are answered.
        stored: The baseline's run, if it doesn't answer in this session.
        on_lost: Called with the number of lost cases of all candidates, after it has changed.
        judging: The judges.
    """
    judging = judging or Judging()
    panel = judging.panel
    counted = {case.key: case for case in cases if case.repeat == 1 and _is_soon(case, judging)}
    passed: dict[str, dict[str, bool]] = {}
    waiting: dict[str, dict[str, Completion]] = {}
    if stored is not None:
        # What a changed case did before says nothing of it now.
        same = [
            each
            for each in stored.results
            if counted.get(each.key, each.case).content_sha256 == each.case.content_sha256
        ]
        passed[BASELINE] = {result.key: result.outcome is Outcome.PASSED for result in same}
    told = 0

    def on_answers(side: str, answers: Mapping[str, Completion]) -> None:
        nonlocal told
        if side == BASE:
            return
        waiting.setdefault(side, {}).update(
            {key: answer_apart(each, counted[key]) for key, each in answers.items() if key in counted}
        )
        for other, those in waiting.items():
            known = _outcomes([(counted[key], answer) for key, answer in those.items()], panel)
            passed.setdefault(other, {}).update(known)
            waiting[other] = {key: answer for key, answer in those.items() if key not in known}
        before = passed.get(BASELINE, {})
        lost = sum(
            before.get(key, False) and not is_passed
            for other, outcomes in passed.items()
            if other != BASELINE
            for key, is_passed in outcomes.items()
        )
        if lost != told:
            told = lost
            on_lost(lost)

    return on_answers


def _outcomes(answered: Sequence[tuple[GoldenCase, Completion]], panel: Panel | None) -> dict[str, bool]:
    """Whether each case passes, without those whose judge has not replied."""
    ready: list[tuple[GoldenCase, Completion]] = []
    known: dict[str, bool] = {}
    for case, answer in answered:
        judged = judged_checks(case)
        asked = [ScoringRequest(case=case, check=check, text=answer.text) for check in judged]
        verdicts = [None if panel is None else passes_so_far(panel, request) for request in asked]
        if False in verdicts:
            known[case.key] = False
        elif None not in verdicts:
            rest = tuple(check for check in case.checks if check not in judged)
            ready.append((replace(case, checks=rest), answer))
    results = score_cases([case for case, _ in ready], {case.key: answer for case, answer in ready})
    return known | {result.key: result.outcome is not Outcome.FAILED for result in results}


def both(first: OnAnswers, second: OnAnswers | None) -> OnAnswers:
    """A function that hands answers to two others.

    Args:
        first: Called first.
        second: Called second, if there is one.
    """
    if second is None:
        return first

    def on_answers(side: str, answers: Mapping[str, Completion]) -> None:
        first(side, answers)
        second(side, answers)

    return on_answers


def _is_soon(case: GoldenCase, judging: Judging) -> bool:
    """Whether a case's checks are known soon after its answer."""
    judged = judged_checks(case)
    if judged and (judging.panel is None or not judging.panel.overlaps or case.turns):
        return False
    if any(each.transform or not decides(each) or judging.distrust.reason(case, each) for each in judged):
        return False
    # A group with a judged member is known later.
    return all(check in judged or _is_quick(check) for check in case.checks)


def _is_quick(check: Check) -> bool:
    kinds = [CHECK_TYPES[base_type(single.type)] for single in check.single_checks]
    return decides(check) and all(
        kind.extra is None and kind.reads_answer and not kind.runs_code and not kind.judged for kind in kinds
    )


def open_panel(settings: Settings, store: ReplyStore, dealer: Dealer | None = None) -> Panel | None:
    """The judge or judges in the settings; None if there are none. Nothing is loaded or sent.

    Args:
        settings: The session's settings.
        store: Where replies are stored.
        dealer: Deals the work of judges and encoders on this machine to workers.

    Raises:
        SettingsError: A spec can't be read, a key is missing, or the number of judges is even.
    """
    if not settings.judge:
        return None
    return Panel(
        [
            open_judge(
                spec,
                store,
                concurrency=settings.judge_concurrency,
                timeout_s=settings.judge_timeout_s,
                prices=settings.judge_prices,
            )
            for spec in settings.judge
        ],
        dealer,
    )


def judged_checks(case: GoldenCase) -> tuple[Check, ...]:
    """The checks of a case that a judge decides."""
    return tuple(check for check in case.single_checks if CHECK_TYPES[base_type(check.type)].judged)


def describe_trust(calibration: Calibration | None, distrust: Distrust, cases: Sequence[GoldenCase]) -> str:
    """The judge's calibration in words, for the terminal.

    Args:
        calibration: The judge's calibration; None without one.
        distrust: For what it is unreliable.
        cases: The selected cases.
    """
    if calibration is None:
        return "not calibrated: tunegate judge calibrate shows whether it is reliable"
    checks = [(case, check) for case in cases for check in judged_checks(case)]
    reasons = {check.type: reason for case, check in checks if (reason := distrust.reason(case, check))}
    if reasons:
        reason = "; ".join(dict.fromkeys(reasons.values()))
        return f"unscored, because the judge is unreliable: {', '.join(reasons)} ({reason})"
    kappa = next((m.interval for m in calibration.measures if m.name == AGREEMENT), None)
    assert kappa is not None  # a reliable judge has one
    bounds = f"[{kappa.low:.2f}, {kappa.high:.2f}]"
    asked = dict.fromkeys(question_of(check) for _, check in checks if check.file is not None)
    unknown = [name for name in asked if name not in calibration.by_task]
    missing = f", but not on items of {', '.join(unknown)}" if unknown else ""
    return f"calibrated on {calibration.items} items, kappa {kappa.estimate:.2f} {bounds}{missing}"


def describe_judging(panel: Panel, note: str) -> list[str]:
    """Lines for the terminal: requests, tokens and cost of judging, and the judge's calibration.

    Args:
        panel: The judges.
        note: Their calibration in words.
    """
    usage = panel.usage
    lines = [f"judge:  {panel.identity}: {note}"] if note else []
    if not usage.requests and not usage.from_cache:
        return lines
    lines.append(f"        {describe_usage(usage)}")
    agreements = ((task, describe_agreement(votes)) for task, votes in panel.votes.items())
    return lines + [f"        {task}: {agreement}" for task, agreement in agreements if agreement is not None]


def describe_usage(usage: JudgeUsage) -> str:
    """Requests, tokens and cost of judging in words."""
    parts = [f"{usage.requests} requests", f"{usage.from_cache} cached replies"]
    parts += [f"{usage.retried} retried"] if usage.retried else []
    parts += [f"{usage.failed} without a verdict"] if usage.failed else []
    parts += [f"{usage.unstructured} not held to the JSON schema"] if usage.unstructured else []
    parts += [f"{usage.prompt_tokens} + {usage.completion_tokens} tokens"] if usage.prompt_tokens else []
    parts += [f"cost {usage.cost:.4f}"] if usage.cost is not None else []
    return ", ".join(parts)


def refuse_distrusted(golden_sets: Sequence[GoldenSet], distrust: Distrust, judge: str) -> None:
    """Refuse to decide a case, or to gate a metric, by an unreliable judge.

    Args:
        golden_sets: The selected sets.
        distrust: For what the judge is unreliable.
        judge: The judge's spec, for messages.

    Raises:
        SettingsError: Such a check decides; the message says which, and why the judge is unreliable.
    """
    for golden_set in golden_sets:
        for case in golden_set.cases:
            for check in judged_checks(case):
                gated = check.type in golden_set.gate.metric_margins
                reason = distrust.reason(case, check)
                if reason and (gated or decides(check)):
                    raise SettingsError(
                        f"--gate-judge {judge}: UNRELIABLE: {reason}; {base_type(check.type)} of {case.key} "
                        f"would be decided by it: take another judge, or deselect such cases"
                    )


def trusted_with(metric: str, calibration: Calibration | None, judge: str) -> str:
    """The calibration of a judge for one metric in words, for the terminal.

    Args:
        metric: The metric's check type.
        calibration: The judge's calibration; None without one.
        judge: The judge's spec, for messages.

    Raises:
        SettingsError: It is unreliable, in general or for this metric's question.
    """
    distrust, task = distrust_of(calibration), task_of(metric)
    if reason := distrust.everything or distrust.questions.get(task):
        raise SettingsError(
            f"--judge {judge}: UNRELIABLE: {reason}: take another judge, "
            f"or calibrate this one on better items with tunegate judge calibrate"
        )
    known = describe_trust(calibration, distrust, ())
    if calibration is None:
        return known
    own = calibration.by_task.get(task)
    if own is None:
        return f"{known}; no items for {task}"
    return f"{known}; of {task} {own.estimate:.2f} [{own.low:.2f}, {own.high:.2f}]"


def ask_ahead(judging: Judging, cases: Sequence[GoldenCase]) -> OnAnswers:
    """A function that sends the judge its questions about answers as they arrive.

    Scoring asks the same questions later and finds the replies, or waits for them. A judge on this machine
    would only slow down the engine: it is not asked ahead.

    Args:
        judging: The judges, and the checks for which they are unreliable.
        cases: The cases that are answered.
    """
    panel = judging.panel
    if panel is None or not panel.overlaps:
        return lambda side, answers: None
    # Only the last answer of several turns is judged by the case's own checks.
    asked = [case for case in cases if judged_checks(case) and not case.turns]
    by_key = {key: case for case in asked for key in case.answer_keys}
    texts: dict[str, dict[str, str]] = {}
    texts[BASELINE] = dict(judging.baseline_texts)

    def on_answers(side: str, answers: Mapping[str, Completion]) -> None:
        texts.setdefault(side, {}).update(
            {key: answer_apart(answers[key], by_key[key]).text for key in answers.keys() & by_key.keys()}
        )
        for key in answers.keys() & by_key.keys():
            case = by_key[key]
            for other in {side, *(texts if side == BASELINE else ())}:
                if key in texts[other]:
                    ask_beforehand(
                        panel,
                        [
                            ScoringRequest(
                                case=case,
                                check=check,
                                text=texts[other][key],
                                baseline_text=texts[BASELINE].get(key),
                            )
                            for check in judged_checks(case)
                            if not judging.distrust.reason(case, check) and not check.transform
                        ],
                    )

    return on_answers


def lending(judging: Judging, open_engine: OpenEngine) -> OpenEngine:
    """Opens models as before; where work is dealt, their workers also judge and score.

    Args:
        judging: Has what deals it.
        open_engine: Loads the models.
    """
    return open_engine if judging.dealer is None else judging.dealer.lending(open_engine)


def preparing(open_engine: OpenEngine, judging: Judging, cases: Sequence[GoldenCase]) -> OpenEngine:
    """Opens the models, then imports what judging needs in another thread, while they answer.

    Only where an answer is missing: a rerun whose answers and replies are stored imports nothing. A judge on
    this machine computes after the models, and is not prepared.

    Args:
        open_engine: Loads the models.
        judging: The judges.
        cases: The cases that are answered.
    """
    panel, open_engine = judging.panel, lending(judging, open_engine)
    checks = [check for case in cases for check in judged_checks(case)]
    if panel is None or not panel.overlaps or not checks:
        return open_engine

    def prepare() -> None:
        # Whoever needs it next meets the same fault, and tells it.
        with contextlib.suppress(Exception):
            prepare_judging(panel, checks)

    def opened(sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> Engine:
        engine = open_engine(sides, plan)
        threading.Thread(target=prepare, name="judging", daemon=True).start()
        return engine

    return opened


def texts_of(run: Run, asked: Sequence[GoldenCase] = ()) -> dict[str, str]:
    """A stored run's answers by answer key; none for an accepted baseline, whose file has no texts.

    Args:
        run: The run.
        asked: The cases that are asked now. Where one has more answers than the run has to it, each of the
            further ones has one of the run's for a counterpart, from the first on.

    Returns:
        The texts by answer key.
    """
    found: dict[str, str] = {}
    now = {case.key: case.answer_keys for case in asked}
    for result in run.results:
        answers = zip(result.case.answer_keys, answers_of(result), strict=False)
        own = {key: each.completion.text for key, each in answers if each.completion is not None}
        found |= own
        if own:
            found |= {
                key: text
                for key, text in zip(now.get(result.key, ()), cycle(own.values()), strict=False)
                if key not in own
            }
    return found


def as_baseline(run: Run) -> Run:
    """A stored run as a baseline: ``pairwise`` compares it with its own answers, so each pair is a tie."""
    if not any(asks_pairwise(result.case) for result in run.results):
        return run
    # Few sets have such a check.
    from harness.run.opponents import against_itself

    return against_itself(run)
