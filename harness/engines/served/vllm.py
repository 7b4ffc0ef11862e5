"""The engine that asks a server with vLLM's API: one base, and adapters that come and go."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn

from harness.engines.base import GenerationRequest, LossRequest
from harness.engines.served.adapters import ROUNDS, LoadedAdapters, gone
from harness.engines.served.client import RefusedError, ServerError
from harness.engines.served.describe import UnreachableError, open_client
from harness.engines.served.engine import (
    NO_DIVERGENCE,
    delivery,
    raise_failures,
    raise_problems,
    refusals,
)
from harness.engines.served.losses import ScoringText, loss_job, token_logprobs_job
from harness.engines.served.next_token import NextToken, first_token_of_text
from harness.engines.served.pool import Job, ServerPool
from harness.engines.served.process import ending_of
from harness.engines.served.reports import Reports, used
from harness.engines.served.tokens import Reader, refuse_unfollowed, tokens_job
from harness.engines.text_losses import option_ids
from harness.engines.weights import probe_rows
from harness.errors import AdapterError, EngineError, FailedTogetherError, SettingsError
from harness.models.resolve import resolve_model
from harness.prompts.rendering import prompt_ids, render_prompt, text_ids
from harness.prompts.training import render_begun
from harness.types import Completion, ExecutionPlan, ModelRef, ServerUse, TextLoss

_NOT_FOUND = 404


def refuse_name(reference: str, model_id: str | None = None) -> NoReturn:
    """Refuse ``vllm:REFERENCE``.

    Args:
        reference: The part after the colon.
        model_id: Unused.

    Raises:
        SettingsError: Always: this engine runs models that are named as usual.
    """
    raise SettingsError(f"--model vllm:{reference}: give --model={reference} --gate-engine vllm")


class VllmEngine:
    """Asks one server for the base and its adapters, all in the same stream of requests."""

    def __init__(self, sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> None:
        """Join the server, or start one, and load the adapters under the hashes of their content.

        Args:
            sides: A base and adapters of it.
            plan: Its ``server`` says which server, and how it is asked.

        Raises:
            InputError: The server has another base, or can't run a model.
            EngineError: The server can't be started.
        """
        self._plan, self._use = plan, plan.server or ServerUse()
        self._unmeasured = ""
        # What was measured since an adapter was loaded.
        self._changes: dict[str, float] = {}
        self._sides = dict(sides)
        self._reports = {side: Reports(model.label, None, True) for side, model in sides.items()}
        self._loaded = LoadedAdapters(list(sides.values()), self._use)
        client = open_client(self._loaded.url, timeout_s=self._use.timeout_s)
        self._pool = ServerPool([client], self._use.concurrency)
        self._readers = {side: Reader(_directory(model), model.adapter_dir) for side, model in sides.items()}

    @property
    def plan(self) -> ExecutionPlan:
        """The plan, with what was used and reported so far."""
        return replace(
            self._plan, server=used(self._use, [self._pool], self._reports.values(), self._unmeasured)
        )

    def generate(
        self, requests: Sequence[GenerationRequest], on_batch: Callable[[Mapping[int, Completion]], None]
    ) -> None:
        """Answer all requests; the sides take turns, so that what changes on the server concerns all.

        Args:
            requests: The requests, of any side.
            on_batch: Called with each answer, by index into ``requests``.

        Raises:
            SettingsError: A request asks for settings of a model that a server doesn't follow.
            CasesFailedError: Some got no answer; all others were answered.
            EngineError: None got an answer.
        """
        refuse_unfollowed(requests, self._sides)
        order = list(turns([request.side for request in requests]))
        failures: dict[int, ServerError] = {}
        self._ask(order, lambda place: self._answer_job(requests[place]), on_batch, failures)
        if failures:
            raise_failures(failures, [request.key for request in requests])

    def losses(
        self, requests: Sequence[LossRequest], on_batch: Callable[[Mapping[int, TextLoss]], None]
    ) -> None:
        """Cross-entropy of each text, by the log-probabilities of prompts.

        Args:
            requests: Texts, each after its conversation.
            on_batch: Called with each loss, by index into ``requests``.

        Raises:
            TextsUnmeasuredError: The server gives none for some texts; all others were measured, or failed.
            CasesFailedError: Some failed; all others were measured.
            UnreachableError: All that were asked failed, since no server is there.
            AllFailedError: All that were asked failed.
        """
        unasked = {place: NO_DIVERGENCE for place, one in enumerate(requests) if one.against is not None}
        order = [place for place in turns([request.side for request in requests]) if place not in unasked]
        problems: dict[int, ServerError] = {}
        self._ask(order, lambda place: self._loss_job(requests[place]), on_batch, problems)
        self._unmeasured = next(iter(refusals(problems).values()), self._unmeasured)
        raise_problems(problems, unasked, [request.key for request in requests])

    def largest_logit_change(self, side: str) -> float:
        """Largest change of the base's log-probabilities by a side's adapter, on fixed tokens.

        Args:
            side: The adapter's side.

        Raises:
            AdapterError: The server answers with it as with its base alone.
            EngineError: The server gives no log-probabilities to compare.
            FailedTogetherError: It answers nothing.
        """
        if (known := self._changes.get(side)) is not None:
            return known
        base, adapted, again, once_more = self._probes(side)
        # What differs between two questions to the same model is no effect of an adapter. Other sessions'
        # questions change batches, and so rounding: an effect is there each time.
        noise = max(map(_distance, [*base, *adapted], [*again, *once_more]))
        change = max(
            min(_distance(one, other) for one in of_base for other in of_adapter)
            for of_base, of_adapter in zip(
                zip(base, again, strict=True), zip(adapted, once_more, strict=True), strict=True
            )
        )
        if change <= noise:
            raise AdapterError(
                f"{self._sides[side].adapter_dir}: {self._loaded.url} answers with it as with its base "
                f"alone: the adapter is dead, or the server does not apply it"
            )
        self._changes[side] = change
        return change

    def next_tokens(self, requests: Sequence[GenerationRequest]) -> list[NextToken]:
        """The likeliest first tokens of each answer.

        Args:
            requests: The requests.

        Raises:
            ServerError: The server gives no log-probabilities.
        """
        return [self._pool.ask(first_token_of_text(self._answer_job(request).body)) for request in requests]

    @property
    def ending(self) -> str:
        """How the server ended that this process started; empty while it goes on."""
        return ending_of(self._loaded.url)

    def require_reply(self) -> None:
        """Ask the least there is to ask: whether the server, and not some request, is why there is no answer.

        Raises:
            EngineError: It gives no reply to that either.
        """
        base = self._loaded.base
        try:
            self._pool.ask(token_logprobs_job(base, [0, 0], Reports(base)))
        except RefusedError:
            return  # a reply, too
        except ServerError as error:
            raise EngineError(f"its server answers nothing: {error}") from error

    def close(self) -> None:
        """Unload the adapters that this engine loaded; they are loaded and checked again if it is asked."""
        self._loaded.unload(is_gone=self._pool.clients[0].is_gone)
        self._changes.clear()

    def _name(self, side: str) -> str:
        name = self._loaded.name_of(self._sides[side])
        self._reports[side].fingerprint = self._loaded.fingerprints.get(name)
        return name

    def _ask(
        self,
        places: Sequence[int],
        job_of: Callable[[int], Job],
        on_batch: Callable[[Mapping[int, Any]], None],
        failures: dict[int, ServerError],
    ) -> None:
        """Ask, and once more what the server refused since it had an adapter no longer."""
        jobs = [job_of(place) for place in places]
        for rounds_left in reversed(range(ROUNDS)):
            refused: dict[int, ServerError] = {}
            self._pool.ask_all(jobs, delivery(places, on_batch, refused))
            failures.update(refused)
            places = [place for place, error in refused.items() if _is_unknown(error)]
            if not places or not rounds_left:
                break
            try:
                if not (lost := self._loaded.forget_lost()):
                    break
                for side in [side for side, model in self._sides.items() if model in lost]:
                    self._changes.pop(side, None)
                    self.largest_logit_change(side)
                jobs = [job_of(place) for place in places]
            except FailedTogetherError as error:
                # It has gone meanwhile: what it has answered stays.
                failures.update(dict.fromkeys(places, _as_failure(error)))
                break
            for place in places:
                del failures[place]
        self._loaded.check_files()

    def _answer_job(self, request: GenerationRequest) -> Job:
        reader = self._readers[request.side]
        prompt = request.prompt or render_prompt(reader.tokenizer, request.messages, request.settings)
        return tokens_job(
            self._name(request.side), reader, replace(request, prompt=prompt), self._reports[request.side]
        )

    def _loss_job(self, request: LossRequest) -> Job:
        tokenizer = self._readers[request.side].tokenizer
        text = text_ids(tokenizer, request.text)
        if request.messages:
            prompt = request.prompt or render_begun(
                tokenizer, request.messages, request.settings, request.texts
            )
            before = prompt_ids(tokenizer, prompt)
            if request.options:
                before, text = option_ids(tokenizer, prompt, before, request)
        else:
            before = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        scored = ScoringText(prompt=[*before, *text], start=max(len(before), 1))
        return loss_job(self._name(request.side), request.key, scored, self._reports[request.side])

    def _probes(self, side: str) -> list[list[float]]:
        """The log-probabilities of fixed tokens by the base and by a side's adapter, twice each."""
        tokenizer = self._readers[side].tokenizer
        rows = probe_rows(tokenizer, len(tokenizer))
        rounds_left = ROUNDS
        while True:
            names = 2 * (self._loaded.base, self._name(side))
            try:
                return [self._probed(side, name, rows) for name in names]
            except RefusedError as error:
                rounds_left -= 1
                # Another session may have unloaded the adapter just now.
                if not (_is_unknown(error) and rounds_left and self._loaded.forget_lost()):
                    raise EngineError(self._unchecked(error)) from error

    def _unchecked(self, error: ServerError) -> str:
        return f"{self._loaded.url}: whether it applies adapters can't be checked: {error}"

    def _probed(self, side: str, name: str, rows: Sequence[Sequence[int]]) -> list[float]:
        """The log-probabilities of the rows' tokens; asked one at a time, so that no batch changes them."""
        reports = (
            self._reports[side]
            if name == self._name(side)
            else Reports(name, self._loaded.fingerprints.get(name))
        )
        found: list[float] = []
        for row in rows:
            try:
                found += self._pool.ask(token_logprobs_job(name, list(row), reports))
            except RefusedError:
                raise
            except ServerError as error:
                raise gone(self._unchecked(error), error) from error
        return found


def _as_failure(error: FailedTogetherError) -> ServerError:
    """What stands for a request that could not be asked any more."""
    failure = ServerError(error.reason if isinstance(error, UnreachableError) else str(error))
    failure.is_unreachable = isinstance(error, UnreachableError)
    return failure


def _distance(one: float, other: float) -> float:
    return abs(one - other)


def _is_unknown(error: ServerError) -> bool:
    """Whether a server has no model of the name that it was asked for."""
    return isinstance(error, RefusedError) and error.status == _NOT_FOUND


def _directory(model: ModelRef) -> Path:
    return resolve_model(model.base_model, recorded=True)


def turns(sides: Sequence[str]) -> Iterator[int]:
    """Indices of requests so that the sides take turns.

    Args:
        sides: Each request's.
    """
    by_side = [[place for place, other in enumerate(sides) if other == side] for side in dict.fromkeys(sides)]
    for places in zip_longest(*by_side):
        yield from (place for place in places if place is not None)
