"""What a session keeps where a model fails on requests: all other answers, and why these are missing."""

from collections.abc import Collection, Sequence

from harness.engines.base import SERVED
from harness.errors import (
    CasesFailedError,
    EngineError,
    FailedTogetherError,
    NoneAnsweredError,
    TextsUnmeasuredError,
    TunegateError,
)
from harness.run.workload import PartialAnswers


def keep_known(answers: PartialAnswers, sides: Collection[str], error: TunegateError, engine: str) -> None:
    """What is known is kept, where a model fails on all that is still asked.

    Of a server that is not there, or refuses key or name, stored answers are no proof: nothing is lost
    if it is told at once. Answers of this session may be lost, where nobody identifies its weights.

    Args:
        answers: What the session has so far.
        sides: Those that were asked.
        error: What came of it.
        engine: The engine's name.

    Raises:
        TunegateError: The error, where a side has answered nothing.
    """
    if not isinstance(error, FailedTogetherError):
        return
    now = isinstance(error, NoneAnsweredError) and engine in SERVED
    if not all(answers.answered.get(side, False) if now else side in answers.answered for side in sides):
        raise error


def note_failed_texts(
    answers: PartialAnswers,
    text_places: Sequence[int],
    error: CasesFailedError | FailedTogetherError | TextsUnmeasuredError,
    engine: str,
) -> None:
    """Note the texts on which the model failed.

    Args:
        answers: What the session has so far; changed in place.
        text_places: The texts that were asked, by index in the workload.
        error: What came of it.
        engine: The engine's name.

    Raises:
        EngineError: It failed on general text, which all cases share, and is no server, which may miss one
            request; or on all that was asked, and has answered nothing.
    """
    texts = answers.workload.texts
    failed = {text_places[index]: reason for index, reason in error.failures.items()}
    keep_known(answers, {texts[place].side for place in failed}, error, engine)
    general = [reason for place, reason in failed.items() if place >= len(answers.workload.references)]
    if general and engine not in SERVED:
        raise EngineError(general[0]) from error
    answers.failed_texts.update(failed)


def left_out(answers: PartialAnswers) -> str:
    """What is said of general text at which a server failed; empty if it did at none."""
    workload, first = answers.workload, len(answers.workload.references)
    failed = sorted(place for place in answers.failed_texts if place >= first)
    if not failed:
        return ""
    # One that a side lacks is left out on all.
    lost = {workload.texts[place].key for place in failed}
    share = f"{len(lost)} of {len({each.key for each in workload.passages})} passages"
    return f"general text: {share} got no loss and are left out ({answers.failed_texts[failed[0]]})"
