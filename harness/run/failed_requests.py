"""What a session keeps where a model fails on requests: all other answers, and why these are missing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from harness.engines.base import SERVED
from harness.errors import (
    CasesFailedError,
    EngineError,
    FailedTogetherError,
    ModelError,
    NoneAnsweredError,
    SettingsError,
    TextsUnmeasuredError,
)
from harness.registry import active
from harness.run.cache import Cache
from harness.run.cache_entries import RefusedText
from harness.run.workload import PartialAnswers
from harness.types import ServerUse


def _lasting(answers: PartialAnswers, error: FailedTogetherError, engine: str) -> set[str]:
    """The sides whose answers are kept, where a model fails on all that is still asked.

    Of a server that is not there, or refuses key or name, stored answers are no proof: nothing is lost
    if it is told at once. Answers of this session may be lost, where nobody identifies its weights.
    """
    now = isinstance(error, NoneAnsweredError) and engine in SERVED
    return {side for side, is_new in answers.answered.items() if is_new or not now}


def keep_session(answers: PartialAnswers, error: FailedTogetherError, engine: str) -> None:
    """What is known is kept, where nothing could be asked any more, of any side.

    Args:
        answers: What the session has so far; what is missing is noted as failed.
        error: Why.
        engine: The engine's name.

    Raises:
        FailedTogetherError: The error, where nobody would lose an answer by it: a model here is loaded anew.
    """
    if engine not in SERVED or not _lasting(answers, error, engine):
        raise error
    answers.failures.update(dict.fromkeys(answers.missing_answers, str(error)))
    answers.failed_texts.update(dict.fromkeys(answers.missing_texts, str(error)))


def _reasons(
    error: CasesFailedError | FailedTogetherError | TextsUnmeasuredError, asked: int
) -> Mapping[int, str]:
    """Why requests failed, by index; one reason for all where none of them could be asked."""
    unasked = isinstance(error, FailedTogetherError) and not error.failures
    return dict.fromkeys(range(asked), str(error)) if unasked else error.failures


def note_failed_answers(
    answers: PartialAnswers,
    groups: Sequence[Sequence[int]],
    error: CasesFailedError | FailedTogetherError,
    engine: str,
) -> None:
    """Note the cases on which the model failed.

    Args:
        answers: What the session has so far; changed in place.
        groups: What was asked, each request by the answers in the workload that it is for.
        error: What came of it.
        engine: The engine's name.

    Raises:
        FailedTogetherError: It failed on all that was asked, of a side that has answered nothing.
    """
    asked = {answers.workload.answers[first].side for first, *_ in groups}
    if isinstance(error, FailedTogetherError) and not asked <= _lasting(answers, error, engine):
        raise error
    failed = {place: why for at, why in _reasons(error, len(groups)).items() for place in groups[at]}
    # What had an answer before its batch failed keeps it.
    answers.failures.update({place: why for place, why in failed.items() if place not in answers.completions})


def note_failed_texts(
    answers: PartialAnswers,
    text_places: Sequence[int],
    error: CasesFailedError | FailedTogetherError | TextsUnmeasuredError,
    engine: str,
    cache: Cache,
) -> None:
    """Note the texts on which the model failed, or gives no losses.

    A divergence decides nothing: one that can't be computed is left out, and told.

    Args:
        answers: What the session has so far; changed in place.
        text_places: The texts that were asked, by index in the workload.
        error: What came of it.
        engine: The engine's name.
        cache: Where a server's refusals are stored.

    Raises:
        EngineError: It failed on general text, which all cases share, and is no server, which may miss one
            request; or on all that was asked, and no side has answered anything.
        ModelError: The same, for a reason that its user can fix.
    """
    workload, texts = answers.workload, answers.workload.texts
    first, last = len(workload.references), len(workload.references) + len(workload.passages)
    if isinstance(error, TextsUnmeasuredError):
        refused = {text_places[index]: reason for index, reason in error.reasons.items()}
        _note_refusals(answers, refused, engine, cache)
    failed = {text_places[index]: why for index, why in _reasons(error, len(text_places)).items()}
    needed = {place: why for place, why in failed.items() if place < last}
    # A side whose cases all failed before loses no more; the answers of the others would be lost.
    if needed and isinstance(error, FailedTogetherError) and not _lasting(answers, error, engine):
        raise error
    general = [reason for place, reason in needed.items() if place >= first]
    if general and engine not in SERVED:
        raise (ModelError if isinstance(error, ModelError) else EngineError)(general[0]) from error
    answers.failed_texts.update(failed)
    if apart := [place for place in sorted(failed) if place >= last]:
        share = f"{len({texts[place].key for place in apart})} of {len({each.key for each in texts[last:]})}"
        active().note(f"general text: {share} passages have no KL ({failed[apart[0]]})")


def left_out(answers: PartialAnswers) -> str:
    """What is said of general text at which a server failed; empty if it did at none."""
    workload, first = answers.workload, len(answers.workload.references)
    last = first + len(workload.passages)
    failed = sorted(place for place in answers.failed_texts if first <= place < last)
    if not failed:
        return ""
    # One that a side lacks is left out on all.
    lost = {workload.texts[place].key for place in failed}
    share = f"{len(lost)} of {len({each.key for each in workload.passages})} passages"
    return f"general text: {share} got no loss and are left out ({answers.failed_texts[failed[0]]})"


def _note_refusals(answers: PartialAnswers, reasons: Mapping[int, str], engine: str, cache: Cache) -> None:
    """Note on which texts an engine gives no losses; what a server that has answered refuses is stored.

    Another one may have refused the key.
    """
    answers.unmeasured_texts.update(reasons)
    if engine in SERVED:
        texts, keys = answers.workload.texts, answers.text_keys
        answering = [place for place in reasons if answers.answered.get(texts[place].side)]
        cache.put_all({keys[place]: RefusedText(refused=reasons[place]) for place in answering})


@contextmanager
def stored_answers_enough(answers: PartialAnswers, cache: Cache) -> Iterator[None]:
    """Need no server, and no key to it, for losses alone that it refused, or failed to give, before.

    Where it is asked for an answer it is asked for them, too: it may be a newer one, which gives them. If it
    is not there, general text is left out; losses that a case needs, and that it may give, are missing.

    Args:
        answers: What the session has so far; changed in place.
        cache: Where refusals are stored.

    Raises:
        TunegateError: Something else is missing.
    """
    if answers.missing_answers:
        yield
        return
    places = answers.missing_texts
    kept = cache.get_refusals([answers.text_keys[place] for place in places])
    found = {place: one.refused for place, one in zip(places, kept, strict=True) if one is not None}
    answers.unmeasured_texts.update(found)
    try:
        yield
    except (SettingsError, FailedTogetherError) as error:
        missing = answers.missing_texts
        if not missing or missing[0] < len(answers.workload.references):
            raise
        answers.failed_texts.update(dict.fromkeys(missing, str(error)))


def said_of_texts(answers: PartialAnswers) -> ServerUse:
    """What a server's plan says of texts without a loss; that nobody gives a divergence is not said."""
    texts, note = answers.workload.texts, left_out(answers)
    refused = [why for place, why in sorted(answers.unmeasured_texts.items()) if texts[place].against is None]
    return ServerUse(notes=(note,) if note else (), unmeasured=refused[0] if refused else "")
