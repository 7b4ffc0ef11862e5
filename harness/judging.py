"""Judges in a session: opened from the settings, asked while answers still come in."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.answers import OnAnswers
from harness.golden.checks import CHECK_TYPES, base_type
from harness.judge.client import ReplyStore
from harness.judge.open import open_judge
from harness.judge.panel import Panel
from harness.metrics.definition import ScoringRequest
from harness.metrics.judged import questions_of
from harness.scoring import Judging
from harness.settings import Settings
from harness.types import Check, Completion, GoldenCase, Run

BASELINE = "baseline"


def open_panel(settings: Settings, store: ReplyStore) -> Panel | None:
    """The judge or judges that the settings name; None where they name none. Nothing is loaded or asked.

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
        ]
    )


def judged_checks(case: GoldenCase) -> tuple[Check, ...]:
    """The checks of a case that a judge decides."""
    return tuple(check for check in case.checks if CHECK_TYPES[base_type(check.type)].judged)


def ask_ahead(judging: Judging, cases: Sequence[GoldenCase]) -> OnAnswers:
    """A function that sends the judge its questions about answers as they come in.

    Scoring asks the same questions later and finds the replies, or waits for what is left. A judge that
    computes on this machine would only take its time from the engine: it is not asked ahead.
    """
    panel = judging.panel
    if panel is None or not panel.overlaps:
        return lambda side, answers: None
    by_key = {case.key: case for case in cases if judged_checks(case)}
    texts: dict[str, dict[str, str]] = {}
    texts[BASELINE] = dict(judging.baseline_texts)

    def on_answers(side: str, answers: Mapping[str, Completion]) -> None:
        texts.setdefault(side, {}).update({key: answer.text for key, answer in answers.items()})
        for key in answers.keys() & by_key.keys():
            case = by_key[key]
            for other in {side, *(texts if side == BASELINE else ())}:
                if key in texts[other]:
                    panel.start(
                        [
                            question
                            for check in judged_checks(case)
                            if base_type(check.type) not in judging.distrusted
                            for question in questions_of(
                                ScoringRequest(
                                    case=case,
                                    check=check,
                                    text=texts[other][key],
                                    baseline_text=texts[BASELINE].get(key),
                                )
                            )
                        ]
                    )

    return on_answers


def texts_of(run: Run) -> dict[str, str]:
    """A stored run's answers by case key."""
    return {result.key: result.completion.text for result in run.results if result.completion is not None}


def against_itself(run: Run) -> Run:
    """A stored run as a baseline: compared with its own answers, each of its pairs is a tie."""
    results = [
        replace(
            result,
            scores=tuple(
                replace(score, value=0.5) if score.metric == "pairwise" else score for score in result.scores
            ),
        )
        for result in run.results
    ]
    return replace(run, results=tuple(results))
