"""Which tokens of a text are scored, by the tokens that its server makes of it and of what is before it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.engines.base import LossRequest
from harness.engines.option_tokens import shared_tokens
from harness.engines.served.chat import plain_text
from harness.engines.served.client import RefusedError, ServerError
from harness.engines.served.losses import (
    NoLossError,
    ScoringText,
    asking_answered,
    asking_conversation,
    asking_text,
    detokenize_job,
    tokenize_job,
)
from harness.engines.served.pool import Job
from harness.prompts.training import STAND_IN, before_answer, begins_later

# Asks jobs, each of the side at its place, and hands over what came by place.
Ask = Callable[[Sequence[str], Sequence[Job], Callable[[int, Any], None]], None]
# A chat's own log-probabilities are of single tokens, and don't tell which tokens an option is.
_NO_OPTIONS = (
    "choice-likelihood splits each option into tokens together with the prompt, for which a server of chat "
    "needs /tokenize and /detokenize"
)
# Else an answer would be scored inside of a reasoning, or before it.
_NO_MARKS = "where an answer begins, of a template that writes something before it, only /detokenize tells"
# Where tokens lose a space, what is split together with an option is not what the server wrote.
_PROBE = " a  b\n\n\tc é 😀 \n"


class ServedTokens:
    """Asks servers for the tokens of texts, for each of them once."""

    def __init__(self, models: Mapping[str, str], ask: Ask, *, chat: bool) -> None:
        """Ask nothing yet.

        Args:
            models: The servers' name of each side's model.
            ask: Asks a side's servers.
            chat: Whether they render conversations; else their messages are one text.
        """
        self._models, self._ask, self._chat = models, ask, chat

    def scored(
        self, places: Sequence[int], requests: Sequence[LossRequest]
    ) -> tuple[dict[int, ScoringText], dict[int, ServerError]]:
        """What is sent for each text; those after a conversation need the tokens of both.

        Args:
            places: The texts, by index.
            requests: All texts.

        Returns:
            What is sent, and what went wrong, by index.
        """
        found = {place: ScoringText(prompt=requests[place].text, start=1) for place in places}
        behind = [place for place in places if requests[place].messages]
        before, problems = self._before(behind, requests)
        marks, untold = self._marks([place for place in behind if place not in problems], requests)
        problems |= untold
        bodies = {
            place: self._bodies(requests[place], before.get(place), marks.get(place, ""))
            for place in behind
            if place not in problems
        }
        tokens = self._answers(
            [(requests[place].side, body) for place in bodies for body in bodies[place]], tokenize_job
        )
        for place in behind:
            del found[place]
        for place, asked in bodies.items():
            given = [tokens[requests[place].side, json.dumps(body)] for body in asked]
            failed = next((each for each in given if isinstance(each, ServerError)), None)
            if failed is None and place in before and given.pop(0) != given.pop(0):
                failed = _about_options(NoLossError("they make other tokens of its text", 200))
            if failed is not None:
                problems[place] = failed
                continue
            if place in marks and place not in before:
                given = [given[0] + given[1], *given[2:]]
            found[place] = replace(_split(given), direct=place in marks)
        return found, problems

    def _marks(
        self, places: Sequence[int], requests: Sequence[LossRequest]
    ) -> tuple[dict[int, str], dict[int, ServerError]]:
        """What the server's template writes between a prompt and an answer, where it does, by index.

        Most templates write nothing: the tokens of a conversation with an answer then go on with the answer's
        behind those of the prompt. Else both texts tell.
        """
        asked = {
            place: (
                (side := requests[place].side, asking_conversation(self._models[side], requests[place])),
                (side, asking_answered(self._models[side], requests[place])),
                (side, asking_text(self._models[side], STAND_IN, begins=False)),
            )
            for place in places
            if self._chat and begins_later(requests[place].settings, requests[place].texts)
        }
        tokens = self._answers([each for three in asked.values() for each in three], tokenize_job)
        found: dict[int, str] = {}
        problems: dict[int, ServerError] = {}
        goes_on: dict[int, bool] = {}
        for place, three in asked.items():
            prompt, answered, answer = (tokens[side, json.dumps(body)] for side, body in three)
            if isinstance(prompt, ServerError) or isinstance(answer, ServerError):
                continue  # as what is asked next says it, too
            if isinstance(answered, ServerError) and not isinstance(answered, RefusedError):
                problems[place] = answered
                continue
            goes_on[place] = not isinstance(answered, ServerError) and answered[: len(prompt)] == prompt
            if goes_on[place] and answered[len(prompt) : len(prompt) + len(answer)] == answer:
                del goes_on[place]
        # All together: a server is asked many at a time.
        texts = iter(self._read_back([each for place in goes_on for each in asked[place][:2]]))
        for place, written, whole in zip(goes_on, texts, texts, strict=False):
            if isinstance(written, ServerError):
                problems[place] = _about_marks(written)
                continue
            marks = before_answer(written, None if isinstance(whole, ServerError) else whole)
            if marks:
                found[place] = marks if goes_on[place] else marks.lstrip()
        return found, problems

    def _before(
        self, behind: Sequence[int], requests: Sequence[LossRequest]
    ) -> tuple[dict[int, str], dict[int, ServerError]]:
        """The conversations before options as the server writes them, and what went wrong, by index."""
        places = [place for place in behind if self._chat and requests[place].options]
        sides = list(dict.fromkeys(requests[place].side for place in places))
        probes = self._read_back(
            [(side, asking_text(self._models[side], _PROBE, begins=False)) for side in sides]
        )
        written = self._read_back(
            [
                (side, asking_conversation(self._models[side], requests[place]))
                for place in places
                for side in [requests[place].side]
            ]
        )
        found: dict[int, str] = {}
        problems: dict[int, ServerError] = {}
        for place, text in zip(places, written, strict=True):
            probe = probes[sides.index(requests[place].side)]
            if not isinstance(probe, ServerError) and probe != _PROBE:
                probe = NoLossError("its tokens don't keep each character of a text", 200)
            failed = next((each for each in (text, probe) if isinstance(each, ServerError)), None)
            if failed is not None:
                problems[place] = _about_options(failed)
            else:
                found[place] = str(text)
        return found, problems

    def _read_back(self, asked: Sequence[tuple[str, dict[str, Any]]]) -> list[str | ServerError]:
        """The texts of the tokens that the server gives, or why there is none.

        Args:
            asked: Sides, and what asks for tokens.
        """
        tokens = self._answers(asked, tokenize_job)
        given = [tokens[side, json.dumps(body)] for side, body in asked]
        again = {
            row: (side, {"model": self._models[side], "tokens": given[row]})
            for row, (side, _) in enumerate(asked)
            if not isinstance(given[row], ServerError)
        }
        texts = self._answers(list(again.values()), detokenize_job)
        return [
            texts[again[row][0], json.dumps(again[row][1])] if row in again else given[row]
            for row in range(len(asked))
        ]

    def _bodies(self, request: LossRequest, written: str | None, marks: str) -> list[dict[str, Any]]:
        """What asks for the text before it, it alone, and with options each behind that, its own first.

        Args:
            request: The text.
            written: The conversation before options, where the server renders it; asked for in both forms.
            marks: What comes between the conversation and the text; without options it is asked for alone.
        """
        model = self._models[request.side]
        alone = asking_text(model, request.text, begins=False)
        if self._chat and written is None:
            between = [asking_text(model, marks, begins=False)] if marks else []
            return [asking_conversation(model, request), *between, alone]
        before = plain_text(request.messages) if written is None else written
        behind = dict.fromkeys([request.text, *request.options]) if request.options else {}
        texts = [asking_text(model, before + marks + each, begins=written is None) for each in ("", *behind)]
        rendered = []
        if written is not None:
            rendered = [asking_conversation(model, request), asking_text(model, before, begins=False)]
        return [*rendered, texts[0], alone, *texts[1:]]

    def _answers(
        self, asked: Sequence[tuple[str, dict[str, Any]]], job: Callable[[dict[str, Any]], Job]
    ) -> dict[tuple[str, str], Any]:
        """The answers by side and question, or why there is none."""
        once = {(side, json.dumps(body)): body for side, body in asked}
        keys, found = list(once), {}

        def take(row: int, answer: Any) -> None:
            found[keys[row]] = answer

        if once:
            self._ask([side for side, _ in keys], [job(body) for body in once.values()], take)
        return found


def _about_marks(error: ServerError) -> ServerError:
    """What a server refuses, said of where answers begin; a failure stays one."""
    return NoLossError(f"{_NO_MARKS}: {error}", error.status) if isinstance(error, RefusedError) else error


def _about_options(error: ServerError) -> ServerError:
    """What a server refuses, said of options; a failure stays one."""
    return NoLossError(f"{_NO_OPTIONS}: {error}", error.status) if isinstance(error, RefusedError) else error


def _split(tokens: Sequence[list[int]]) -> ScoringText:
    """What is sent, of the tokens before a text, of it alone, and of both together with each option."""
    before, alone, *wholes = tokens
    shared = shared_tokens(before, wholes) if wholes else None
    if shared is None:
        return ScoringText(prompt=[*before, *alone], start=max(len(before), 1))
    return ScoringText(prompt=wholes[0], start=max(shared, 1))
