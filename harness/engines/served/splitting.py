"""Which tokens of a text are scored, by the tokens that its server makes of it and of what is before it."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.engines.base import LossRequest
from harness.engines.option_tokens import shared_tokens
from harness.engines.served.chat import plain_text
from harness.engines.served.client import ServerError
from harness.engines.served.losses import ScoringText, asking_conversation, asking_text, tokenize_job
from harness.engines.served.pool import Job

# Asks jobs, each of the side at its place, and hands over what came by place.
Ask = Callable[[Sequence[str], Sequence[Job], Callable[[int, Any], None]], None]


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
        alone = {place: ScoringText(prompt=requests[place].text, start=1) for place in places}
        bodies = {place: self._bodies(requests[place]) for place in places if requests[place].messages}
        found = self._tokens([(requests[place].side, body) for place in bodies for body in bodies[place]])
        problems: dict[int, ServerError] = {}
        for place, asked in bodies.items():
            del alone[place]
            tokens = [found[requests[place].side, json.dumps(body)] for body in asked]
            failed = [each for each in tokens if isinstance(each, ServerError)]
            if failed:
                problems[place] = failed[0]
            else:
                alone[place] = _split([each for each in tokens if not isinstance(each, ServerError)])
        return alone, problems

    def _bodies(self, request: LossRequest) -> list[dict[str, Any]]:
        """What asks for the text before it, it alone, and with options each behind that, its own first."""
        model = self._models[request.side]
        alone = asking_text(model, request.text, begins=False)
        if self._chat:
            return [asking_conversation(model, request), alone]
        before = plain_text(request.messages)
        behind = dict.fromkeys([request.text, *request.options]) if request.options else {}
        texts = [asking_text(model, before + each, begins=True) for each in ("", *behind)]
        return [texts[0], alone, *texts[1:]]

    def _tokens(
        self, asked: Sequence[tuple[str, dict[str, Any]]]
    ) -> dict[tuple[str, str], list[int] | ServerError]:
        """The tokens by side and question."""
        once = {(side, json.dumps(body)): body for side, body in asked}
        keys, found = list(once), {}

        def take(row: int, tokens: list[int] | ServerError) -> None:
            found[keys[row]] = tokens

        if once:
            self._ask([side for side, _ in keys], [tokenize_job(body) for body in once.values()], take)
        return found


def _split(tokens: Sequence[list[int]]) -> ScoringText:
    """What is sent, of the tokens before a text, of it alone, and of both together with each option."""
    before, alone, *wholes = tokens
    shared = shared_tokens(before, wholes) if wholes else None
    if shared is None:
        return ScoringText(prompt=[*before, *alone], start=max(len(before), 1))
    return ScoringText(prompt=wholes[0], start=max(shared, 1))
