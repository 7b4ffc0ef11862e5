"""A judge on this machine: a model that chooses the likeliest of the allowed replies.

A small model seldom writes the requested JSON. Where a question has few possible replies, each is scored as a
continuation and the likeliest counts, so there is always a verdict; calibration shows whether it is reliable.
Other questions are answered by generation.
"""

import asyncio
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from harness.engines.base import CANDIDATE, GenerationRequest, LossRequest
from harness.engines.one_model import open_described
from harness.engines.open import describe_model
from harness.errors import CasesFailedError, EngineError, JudgeError, PromptError
from harness.judge.dealing import ComputingEngine
from harness.judge.spec import JudgeSpec
from harness.models.resolve import refuse_changed
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
# Tokens of the shortest reply, such as {"pass": true}, with some to spare.
_LEAST_REPLY = 16
# Batches change a reply's cross-entropy, in nats, by less.
_NOISE = 1e-4
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


class LocalEngine(ComputingEngine):
    """Judges with a model of this machine."""

    def __init__(self, spec: JudgeSpec) -> None:
        """Find and identify the model; it loads with the first question.

        Raises:
            InputError: There is no such model.
        """
        model = describe_model(spec.model)
        sha256 = f"{model.base_sha256[:12]}{'-' + model.adapter_sha256[:12] if model.adapter_sha256 else ''}"
        super().__init__(spec, name=spec.model, weights=sha256, together=_MOST)
        self._model, self._engine = model, cast("Any", None)
        self._known: dict[tuple[tuple[Message, ...], str, int], JudgeReply | JudgeError] = {}

    async def ask(self, request: JudgeRequest) -> JudgeReply:
        """Answer one question together with all others that wait.

        Raises:
            JudgeError: The model failed on it, or has no room for it.
        """
        self.requests += 1
        try:
            reply = await self._gatherer.ask(request)
        except EngineError as error:
            raise JudgeError(str(error)) from error
        if isinstance(reply, JudgeError):
            raise reply
        return reply

    def _answer(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply | JudgeError]:
        """A repeated question is not computed twice: nothing here is random."""
        keys = [(one.messages, json.dumps(one.reply_schema), one.max_tokens) for one in requests]
        new = {key: one for key, one in zip(keys, requests, strict=True) if key not in self._known}
        self._known.update(zip(new, super()._answer(list(new.values())), strict=True))
        return [self._known[key] for key in keys]

    def computed(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply | JudgeError]:
        """A reply for each question, or why there is none; one bad question doesn't hinder the others."""
        self.load()
        replies: dict[int, JudgeReply | JudgeError] = {}
        prompts: dict[int, Any] = {}
        choices = [choices_of(request.reply_schema) for request in requests]
        for place, request in enumerate(requests):
            try:
                prompts[place] = self._prompt(request)
            except PromptError as error:
                replies[place] = JudgeError(f"{request.key}: {self.name}: {error}")
        scored = {place: choices[place] for place in prompts if choices[place]}
        replies |= self._scored(requests, prompts, scored)
        rest = [place for place in prompts if place not in scored]
        replies |= self._generated(requests, prompts, rest)
        return [replies[place] for place in range(len(requests))]

    def load(self) -> None:
        """Load the model, unless it is.

        Raises:
            ModelError: Its files are others than those by which replies are stored.
        """
        if self._engine is None:
            # Told once it is loaded, too; but until it is, each batch of questions loads it anew. What a
            # plug-in's engine names may be no files.
            if self._model.engine is None:
                refuse_changed([self._model])
            self._engine = open_described(self._model)

    def _prompt(self, request: JudgeRequest) -> Any:
        """The question, behind which the reply comes next: a reasoning has no room in a few tokens.

        Raises:
            PromptError: The template refuses it, or the model's context has no room for a reply.
        """
        try:
            prompt = self._engine.render(CANDIDATE, request.messages, _WITHOUT_REASONING, direct=True)
        except PromptError:
            # Some templates (Gemma 1 and 2, Mistral) refuse a system message, which here is ours to move.
            merged = _without_system(request.messages)
            prompt = self._engine.render(CANDIDATE, merged, _WITHOUT_REASONING, direct=True)
        context = self._engine.context(CANDIDATE)
        if context is not None and prompt.tokens + _LEAST_REPLY > context:
            raise PromptError(
                f"the question's {prompt.tokens} tokens fill the judge's context of {context}; shorten the "
                f"answer or its passages, or take a judge with a longer context"
            )
        return prompt

    def _scored(
        self,
        requests: Sequence[JudgeRequest],
        prompts: Mapping[int, Any],
        choices: Mapping[int, Sequence[str]],
    ) -> dict[int, JudgeReply | JudgeError]:
        """The likeliest of each question's possible replies, by their total cross-entropy."""
        asked = [(place, option) for place, options in choices.items() for option in options]
        found: dict[int, TextLoss] = {}
        failures = _failures_of(
            self._engine.losses,
            [
                LossRequest(
                    key=requests[place].key,
                    side=CANDIDATE,
                    text=option,
                    messages=requests[place].messages,
                    prompt=prompts[place],
                )
                for place, option in asked
            ],
            found.update,
        )
        failed = {asked[row][0]: JudgeError(reason) for row, reason in failures.items()}
        nats: dict[int, list[float]] = {}
        for row, (place, _) in enumerate(asked):
            if place not in failed:
                nats.setdefault(place, []).append(found[row].nats_per_token * found[row].tokens)
        return failed | {
            place: self._likeliest(choices[place], losses)
            if all(map(math.isfinite, losses))
            else JudgeError(f"{requests[place].key}: {self.name} gives no finite likelihood of its replies")
            for place, losses in nats.items()
        }

    def _likeliest(self, options: Sequence[str], losses: Sequence[float]) -> JudgeReply:
        least = min(losses)
        weights = [math.exp(least - loss) for loss in losses]
        shares = [weight / math.fsum(weights) for weight in weights]
        # Of equally likely ones the first, whatever the last digits are, which depend on the batch.
        best = next(place for place, loss in enumerate(losses) if loss - least < _NOISE)
        told = ", ".join(
            f"{_bare(option)} {share:.2f}" for option, share in zip(options, shares, strict=True)
        )
        return JudgeReply(
            text=json.dumps({**json.loads(options[best]), "reason": f"by likelihood: {told}"}),
            model=self.name,
        )

    def _generated(
        self, requests: Sequence[JudgeRequest], prompts: Mapping[int, Any], places: Sequence[int]
    ) -> dict[int, JudgeReply | JudgeError]:
        """A written reply to each question that has no few possible ones."""
        context = self._engine.context(CANDIDATE)
        room = [
            requests[place].max_tokens
            if context is None
            else min(requests[place].max_tokens, context - prompts[place].tokens)
            for place in places
        ]
        found: dict[int, Completion] = {}
        failures = _failures_of(
            self._engine.generate,
            [
                GenerationRequest(
                    key=requests[place].key,
                    side=CANDIDATE,
                    messages=requests[place].messages,
                    settings=GenerationSettings(max_new_tokens=most),
                    prompt=prompts[place],
                )
                for place, most in zip(places, room, strict=True)
            ],
            found.update,
        )
        failed = {places[row]: JudgeError(reason) for row, reason in failures.items()}
        return failed | {
            places[row]: JudgeReply(
                text=completion.text,
                model=self.name,
                stop_reason=completion.stop_reason,
                prompt_tokens=completion.prompt_tokens,
                completion_tokens=completion.completion_tokens,
            )
            for row, completion in found.items()
        }

    async def close(self) -> None:
        """Stop and release the weights."""
        await self._gatherer.close()
        self._engine = None
        await asyncio.sleep(0)


def _failures_of(
    compute: Callable[..., None], asked: Sequence[Any], on_batch: Callable[[Mapping[int, Any]], None]
) -> Mapping[int, str]:
    """Let the engine compute, and return the reason for each request that failed while others didn't."""
    if not asked:
        return {}
    try:
        compute(asked, on_batch)
    except CasesFailedError as error:
        return error.failures
    return {}


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
