"""Renders all prompts of a workload before any model loads, so faults are reported at once.

Rendered prompts are stored in the cache, so a session whose answers are all stored loads no tokenizer.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.engines.adapter import virtual_token_count
from harness.engines.base import SERVED, GenerationRequest, LossRequest
from harness.engines.loading import model_tokenizer, quiet_load
from harness.errors import PromptError, SettingsError
from harness.models.resolve import resolve_model
from harness.prompts.rendering import RenderedPrompt, render_prompt, text_ids
from harness.prompts.tokenizers import context_length
from harness.prompts.training import begins_later, render_begun
from harness.run.cache import Cache, context_key, prompt_key
from harness.run.workload import Workload, plan_workload
from harness.types import ExecutionPlan, GenerationSettings, GoldenCase, Message, ModelRef

# Engines that are asked rendered prompts.
_RENDERED = frozenset({"transformers", "vllm"})
# Behind the key of a prompt, for the same up to where an answer begins.
_BEGUN = " begun"
# Number of problems that are reported in full, and of cases named in each.
_SHOWN_PROBLEMS, _SHOWN_CASES = 5, 3


def render_workload(
    workload: Workload, sides: Mapping[str, ModelRef], plan: ExecutionPlan, cache: Cache
) -> Workload:
    """Render each request's prompt, and check that the model has room for it and its answer.

    Args:
        workload: The requests.
        sides: The models, by side.
        plan: Only models that read rendered prompts get them: multi-task models read the last message.
        cache: Looked up first; new prompts are stored in it.

    Returns:
        The workload with its prompts.

    Raises:
        PromptError: A chat template refuses a conversation or can't be run, or a prompt is too long; one line
            per reason, with its cases.
        SettingsError: No template reads a value that the settings give, or a server can't be asked a case.
        InputError: A tokenizer or configuration can't be loaded.
    """
    refuse_unsendable(workload.answers, sides, plan.engine)
    if plan.engine not in _RENDERED:
        return workload
    rendering = _Rendering(sides, cache)
    rendered = replace(
        workload,
        answers=tuple(rendering.of_answer(request) for request in workload.answers),
        references=tuple(rendering.of_reference(request) for request in workload.references),
    )
    for passage in workload.passages:
        rendering.check_passage(passage)
    rendering.store()
    _refuse_unread(plan, rendering, {request.side for request in workload.answers})
    if rendering.problems:
        raise PromptError(_described(rendering.problems))
    return rendered


def refuse_unsendable(
    requests: Sequence[GenerationRequest], sides: Mapping[str, ModelRef], engine: str
) -> None:
    """Check that a server can be asked the requests, if one answers: before any of them is paid for.

    Args:
        requests: The requests.
        sides: The models, by side.
        engine: A plan's engine.

    Raises:
        SettingsError: Something can't be sent, and would be ignored.
    """
    if engine not in SERVED:
        return
    if engine == "vllm":
        from harness.engines.served.tokens import refuse_unfollowed

        refuse_unfollowed(requests, sides)
    else:
        from harness.engines.served.chat import refuse_unsupported

        refuse_unsupported(requests, chat=engine == "openai")


def render_turn(
    requests: Sequence[GenerationRequest], sides: Mapping[str, ModelRef], plan: ExecutionPlan, cache: Cache
) -> list[GenerationRequest | str]:
    """Render prompts that contain a model's own answers; a fault then concerns a single case.

    Args:
        requests: The requests.
        sides: The models, by side.
        plan: How they compute.
        cache: Looked up first; new prompts are stored in it.

    Returns:
        Each request with its prompt, or the problem with it.

    Raises:
        InputError: A tokenizer or configuration can't be loaded.
    """
    if plan.engine not in _RENDERED:
        return list(requests)
    rendering = _Rendering(sides, cache)
    rendered: list[GenerationRequest | str] = []
    for request in requests:
        rendering.problems.clear()
        with_prompt = rendering.of_answer(request)
        problems = [f"{label}: {problem}" for problem, label in rendering.problems]
        rendered.append(problems[0] if problems else with_prompt)
    rendering.store()
    return rendered


def check_prompts(
    sides: Mapping[str, ModelRef],
    plan: ExecutionPlan,
    cases: Sequence[GoldenCase],
    cache: Cache,
    *,
    only: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Check before anything loads that the models can answer the cases: all prompts are rendered.

    Args:
        sides: The models, by side.
        plan: How they compute.
        cases: The cases.
        cache: Where the prompts are stored.
        only: Keys of the cases that a side answers, for sides that don't answer all.

    Raises:
        InputError: As render_workload.
    """
    if plan.engine not in _RENDERED | SERVED:
        return
    workload = plan_workload(sides, cases, only=only, chat_template_kwargs=plan.chat_template_kwargs)
    render_workload(workload, sides, plan, cache)


@dataclass(slots=True)
class _Rendering:
    """Prompts of a session while they are rendered.

    Attributes:
        problems: Keys of the requests by problem and model.
    """

    sides: Mapping[str, ModelRef]
    cache: Cache
    problems: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    tokenizers: dict[str, Any] = field(default_factory=dict)
    contexts: dict[str, int | None] = field(default_factory=dict)
    fresh: dict[str, RenderedPrompt] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def of_answer(self, request: GenerationRequest) -> GenerationRequest:
        prompt = self._prompt(request.side, request.key, request.messages, request.settings)
        if prompt is None:
            return request
        room = request.settings.token_limit
        remedy = "shorten it, lower max_new_tokens, or skip the case"
        self._check_room(request.side, request.key, prompt.tokens, room, "of the answer", remedy)
        return replace(request, prompt=prompt)

    def of_reference(self, request: LossRequest) -> LossRequest:
        asked = (request.side, request.key, request.messages, request.settings)
        rendered = prompt = self._prompt(*asked)
        if prompt is not None and begins_later(request.settings, request.texts):
            prompt = self._prompt(*asked, begun=True)
        if prompt is None:
            return request
        # Except in byte-level pieces a character is at most one token: only long texts are counted.
        context, length = self._context(request.side), len(request.text.encode())
        if context is not None and prompt.tokens + length > context:
            length = len(text_ids(self._tokenizer(request.side), request.text))
            remedy = "shorten prompt or reference, or skip the case"
            self._check_room(request.side, request.key, prompt.tokens, length, "of its reference", remedy)
        return replace(request, prompt=prompt, direct=prompt != rendered)

    def check_passage(self, request: LossRequest) -> None:
        """Note that a passage of general text, with a token that begins it, leaves the model's context."""
        context = self._context(request.side)
        if context is None or len(request.text.encode()) < context:
            return
        tokens = len(text_ids(self._tokenizer(request.side), request.text)) + 1
        if tokens > context:
            self._note(
                request.side,
                f"{tokens} tokens are more than its context of {context}; leave general text out with "
                f"--gate-no-forgetting",
                f"general text {request.key!r}",
            )

    def store(self) -> None:
        """Store the rendered prompts for the next session."""
        self.cache.put_all(self.fresh)

    def _prompt(
        self,
        side: str,
        key: str,
        messages: tuple[Message, ...],
        settings: GenerationSettings,
        *,
        begun: bool = False,
    ) -> RenderedPrompt | None:
        """The prompt, up to where an answer begins if it is begun; or None, and the problem is recorded."""
        place = f"{prompt_key(self.sides[side], messages, settings)}{_BEGUN if begun else ''}"
        if place in self.refused:
            self._note(side, self.refused[place], key)
            return None
        prompt = self.fresh.get(place) or self.cache.get_prompt(place)
        if prompt is None:
            try:
                render = render_begun if begun else render_prompt
                prompt = render(self._tokenizer(side), messages, settings)
            except PromptError as error:
                self.refused[place] = str(error)
                self._note(side, self.refused[place], key)
                return None
            self.fresh[place] = prompt
        return prompt

    def _check_room(self, side: str, key: str, prompt: int, rest: int, what: str, remedy: str) -> None:
        context = self._context(side)
        if context is not None and prompt + rest > context:
            self._note(
                side,
                f"{prompt} tokens of the prompt and {rest} {what} are more than its context of {context}; "
                f"{remedy}",
                key,
            )

    def _note(self, side: str, problem: str, key: str) -> None:
        keys = self.problems.setdefault((problem, self.sides[side].label), [])
        if key not in keys:
            keys.append(key)

    def _tokenizer(self, side: str) -> Any:
        if side not in self.tokenizers:
            with quiet_load():
                self.tokenizers[side] = model_tokenizer(self.sides[side])
        return self.tokenizers[side]

    def _context(self, side: str) -> int | None:
        model = self.sides[side]
        if side not in self.contexts:
            key = context_key(model)
            stored = self.cache.get_context(key)
            if stored is None:
                with quiet_load():
                    stored = (context_length(resolve_model(model.base_model, recorded=True)),)
                self.cache.put_context(key, stored[0])
            places = stored[0]
            if places is not None and model.adapter_dir is not None:
                places -= virtual_token_count(Path(model.adapter_dir))
            self.contexts[side] = places
        return self.contexts[side]


def _refuse_unread(plan: ExecutionPlan, rendering: _Rendering, asked: Collection[str]) -> None:
    """Refuse a value of the settings that no template reads, such as one of a misspelt name.

    Prompts that are stored were rendered with the same values, and checked then.

    Raises:
        SettingsError: There is one.
    """
    if not asked or not set(asked) <= set(rendering.tokenizers):
        return
    templates = [str(tokenizer.chat_template) for tokenizer in rendering.tokenizers.values()]
    for name in plan.chat_template_kwargs:
        if not any(re.search(rf"\b{re.escape(name)}\b", template) for template in templates):
            models = ", ".join(rendering.sides[side].label for side in sorted(rendering.tokenizers))
            raise SettingsError(
                f"--gate-chat-template-kwargs: no chat template of {models} reads {name!r}; leave it out"
            )


def _described(problems: Mapping[tuple[str, str], Sequence[str]]) -> str:
    """One line per problem, with all models that have it; those with most cases first."""
    models: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (problem, label), keys in problems.items():
        models.setdefault((problem, tuple(keys)), []).append(label)
    ordered = sorted(models.items(), key=lambda item: -len(item[0][1]))
    lines = [
        f"{_named(keys)}: {' and '.join(labels)}: {problem}"
        for (problem, keys), labels in ordered[:_SHOWN_PROBLEMS]
    ]
    if left := len(ordered) - _SHOWN_PROBLEMS:
        lines += [f"and {left} more such problems"] if left > 0 else []
    return "\n".join(lines)


def _named(keys: Sequence[str]) -> str:
    shown, left = ", ".join(keys[:_SHOWN_CASES]), len(keys) - _SHOWN_CASES
    return f"{shown} and {left} more cases" if left > 0 else shown
