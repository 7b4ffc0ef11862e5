"""A judge on this machine: a model that chooses the likeliest of the allowed replies.

A small model seldom writes the requested JSON. Where a question has few possible replies, each is scored as a
continuation and the likeliest counts, so there is always a verdict; calibration shows whether it is reliable.
Other questions are answered by generation.
"""

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.engines.base import CANDIDATE, GenerationRequest, LossRequest
from harness.engines.gather import Gatherer
from harness.engines.open import describe_model, open_engine
from harness.errors import EngineError, JudgeError, PromptError
from harness.judge.spec import JudgeSpec
from harness.types import (
    Completion,
    GenerationSettings,
    JsonValue,
    JudgeReply,
    JudgeRequest,
    Message,
    TextLoss,
)

_MOST = 32
# Templates that don't know the value ignore it.
_WITHOUT_REASONING = GenerationSettings(chat_template_kwargs={"enable_thinking": False})


def open_local(spec: JudgeSpec, timeout_s: float, environment: Mapping[str, str]) -> "LocalEngine":
    """The engine of ``local:MODEL``; it uses no server, so it needs neither a time limit nor a key.

    Args:
        spec: The judge.
        timeout_s: Not used.
        environment: Not used.
    """
    return LocalEngine(spec)


class LocalEngine:
    """Judges with a model of this machine."""

    remote = False
    retried = 0

    def __init__(self, spec: JudgeSpec) -> None:
        """Find and identify the model; it loads with the first question.

        Raises:
            InputError: There is no such model.
        """
        model = describe_model(spec.model)
        sha256 = f"{model.base_sha256[:12]}{'-' + model.adapter_sha256[:12] if model.adapter_sha256 else ''}"
        self._name, self._identity = spec.model, f"{spec}#{sha256}"
        self._engine: Any = None
        self._known: dict[tuple[tuple[Message, ...], str, int], JudgeReply] = {}
        self._gatherer: Gatherer[JudgeRequest, JudgeReply] = Gatherer(self._answer, _MOST)
        self.requests = 0

    @property
    def identity(self) -> str:
        """The model's name and the start of its weights' hash."""
        return self._identity

    async def ask(self, request: JudgeRequest) -> JudgeReply:
        """Answer one question together with all others that wait.

        Raises:
            JudgeError: The model failed.
        """
        self.requests += 1
        try:
            return await self._gatherer.ask(request)
        except (EngineError, PromptError) as error:
            raise JudgeError(str(error)) from error

    def _answer(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """A repeated question is not computed twice: nothing here is random."""
        keys = [(one.messages, json.dumps(one.reply_schema), one.max_tokens) for one in requests]
        new = {key: one for key, one in zip(keys, requests, strict=True) if key not in self._known}
        self._known.update(zip(new, self._computed(list(new.values())), strict=True))
        return [self._known[key] for key in keys]

    def _computed(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        if self._engine is None:
            self._engine = open_engine(self._name)
        replies: dict[int, JudgeReply] = {}
        choices = [choices_of(request.reply_schema) for request in requests]
        scored = [place for place, options in enumerate(choices) if options]
        losses = self._losses([(requests[place], option) for place in scored for option in choices[place]])
        for place in scored:
            options = choices[place]
            replies[place] = self._likeliest(options, [losses.pop(0) for _ in options])
        rest = [place for place in range(len(requests)) if place not in replies]
        for place, completion in zip(rest, self._generated([requests[p] for p in rest]), strict=True):
            replies[place] = JudgeReply(
                text=completion.text,
                model=self._name,
                stop_reason=completion.stop_reason,
                prompt_tokens=completion.prompt_tokens,
                completion_tokens=completion.completion_tokens,
            )
        return [replies[place] for place in range(len(requests))]

    def _prompt(self, request: JudgeRequest) -> Any:
        """The question, behind which the reply comes next: a reasoning has no room in a few tokens."""
        try:
            return self._engine.render(CANDIDATE, request.messages, _WITHOUT_REASONING, direct=True)
        except PromptError:
            # Some templates (Gemma 1 and 2, Mistral) refuse a system message, which here is ours to move.
            merged = _without_system(request.messages)
            return self._engine.render(CANDIDATE, merged, _WITHOUT_REASONING, direct=True)

    def _losses(self, asked: Sequence[tuple[JudgeRequest, str]]) -> list[float]:
        """Total cross-entropy of each option, in nats."""
        found: dict[int, TextLoss] = {}
        if asked:
            self._engine.losses(
                [
                    LossRequest(
                        key=request.key,
                        side=CANDIDATE,
                        text=option,
                        messages=request.messages,
                        prompt=self._prompt(request),
                    )
                    for request, option in asked
                ],
                found.update,
            )
        return [found[place].nats_per_token * found[place].tokens for place in range(len(asked))]

    def _likeliest(self, options: Sequence[str], losses: Sequence[float]) -> JudgeReply:
        least = min(losses)
        weights = [math.exp(least - loss) for loss in losses]
        shares = [weight / math.fsum(weights) for weight in weights]
        best = losses.index(least)
        told = ", ".join(
            f"{_bare(option)} {share:.2f}" for option, share in zip(options, shares, strict=True)
        )
        return JudgeReply(
            text=json.dumps({**json.loads(options[best]), "reason": f"by likelihood: {told}"}),
            model=self._name,
        )

    def _generated(self, requests: Sequence[JudgeRequest]) -> list[Completion]:
        found: dict[int, Completion] = {}
        if requests:
            self._engine.generate(
                [
                    GenerationRequest(
                        key=request.key,
                        side=CANDIDATE,
                        messages=request.messages,
                        settings=GenerationSettings(max_new_tokens=request.max_tokens),
                        prompt=self._prompt(request),
                    )
                    for request in requests
                ],
                found.update,
            )
        return [found[place] for place in range(len(requests))]

    async def close(self) -> None:
        """Stop and release the weights."""
        await self._gatherer.close()
        self._engine = None
        await asyncio.sleep(0)


def _without_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation with its system message's text at the beginning of the user's first."""
    first, *rest = messages
    if first.role != "system" or not rest:
        return tuple(messages)
    return (Message(role=rest[0].role, content=f"{first.content}\n\n{rest[0].content}"), *rest[1:])


def choices_of(schema: Mapping[str, JsonValue]) -> list[str]:
    """The possible replies as JSON, if the schema asks for a reason and one of a few values; else none."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or len(properties) != 2 or "reason" not in properties:
        return []
    (name,) = (key for key in properties if key != "reason")
    rule = properties[name]
    if not isinstance(rule, dict):
        return []
    values: list[Any] = []
    if rule.get("type") == "boolean":
        values = [True, False]
    elif isinstance(options := rule.get("enum"), list):
        values = list(options)
    elif rule.get("type") == "integer" and {"minimum", "maximum"} <= set(rule):
        low, high = rule["minimum"], rule["maximum"]
        if isinstance(low, int) and isinstance(high, int) and high - low < 20:
            values = list(range(low, high + 1))
    return [json.dumps({name: value}) for value in values]


def _bare(option: str) -> str:
    (value,) = json.loads(option).values()
    return str(value).lower() if isinstance(value, bool) else str(value)
