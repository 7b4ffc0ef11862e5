"""Gets every answer that a session needs: from the cache, otherwise from the engine, batch by batch.

Four steps: plan the requests, look them up in the cache, compute what is missing, assemble the answers by
side. Each finished batch is stored at once, so a crash loses only one batch.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from harness.engines.base import SERVED, EarlyEngine, EarlyFaultError, Engine
from harness.engines.open import check_alive, open_sides
from harness.errors import CasesFailedError, FailedTogetherError, TextsUnmeasuredError
from harness.models.resolve import resolve_model
from harness.registry.listeners import LISTENERS
from harness.run.cache import Cache
from harness.run.failed_requests import (
    keep_session,
    note_failed_answers,
    note_failed_texts,
    said_of_texts,
    stored_answers_enough,
)
from harness.run.later_turns import answer_later_turns
from harness.run.prompting import render_workload
from harness.run.telling import tell_answers, tell_failures
from harness.run.workload import (
    Answers,
    PartialAnswers,
    Workload,
    assemble,
    look_up,
    plan_workload,
    store_completions,
    store_losses,
)
from harness.types import Completion, ExecutionPlan, GoldenCase, ModelRef, ServerUse, TextLoss

# Loading in a process of its own costs about a second more: worth it for ten of one core's work, about this.
_WORTH_OPERATIONS = 10 * 40e9
_CHARACTERS_PER_TOKEN = 4

# Stage, finished, total.
Progress: TypeAlias = Callable[[str, int, int], None]
# Side and completions by case key, as soon as they are finished.
OnAnswers: TypeAlias = Callable[[str, Mapping[str, Completion]], None]
# Loads the models of the given sides.
OpenEngine: TypeAlias = Callable[[Mapping[str, ModelRef], ExecutionPlan], Engine]


def answer_cases(  # noqa: PLR0913 # one stage of every command, whose callers each need other parts of it
    sides: Mapping[str, ModelRef],
    plan: ExecutionPlan,
    cases: Sequence[GoldenCase],
    cache: Cache,
    on_progress: Progress,
    *,
    with_text: bool = False,
    only: Mapping[str, Collection[str]] | None = None,
    open_engine: OpenEngine | None = None,
    on_answers: OnAnswers = lambda side, answers: None,
    answered: Mapping[str, bool] | None = None,
) -> dict[str, Answers]:
    """Answer all cases on all sides, and score their references and the bundled text if needed.

    Args:
        sides: The models, by side.
        plan: How to compute.
        cases: The selected cases.
        cache: Looked up first; every finished batch is stored in it.
        on_progress: Called with a stage, the number of finished answers and the total.
        with_text: Whether the bundled passages are scored too.
        only: Keys of the cases that a side answers, for sides that answer only some.
        open_engine: Called only if an answer is missing; by default it loads the models, for several workers
            where there is enough to compute.
        on_answers: Called with each side's answers as they arrive, the stored ones first.
        answered: Sides that have answers of other parts of the session, and whether they computed them in it:
            these are kept where a side fails on all that is asked now.

    Returns:
        The answers by side.

    Raises:
        PromptError: A model can't answer a case; found before any model loads.
        EngineError: The model failed on a batch.
        AdapterError: An adapter changes nothing.
    """
    workload = plan_workload(
        sides, cases, with_text=with_text, only=only, chat_template_kwargs=plan.chat_template_kwargs
    )
    workload = render_workload(workload, sides, plan, cache)
    answers = look_up(workload, sides, plan, cache)
    _hand_over(workload, answers.completions, on_answers)
    models = _Models(
        sides, plan, cache, on_progress, open_engine or engine_opener(cases, None), {**(answered or {})}
    )
    try:
        models.compute(answers, on_answers)
        found = {side: assemble(side, answers, models.used) for side in sides}
        if any(case.turns for case in cases):
            found = answer_later_turns(sides, plan, cases, found, cache, models.compute)
        return {
            side: replace(each, plan=models.used, computed=models.answered.get(side, False))
            for side, each in found.items()
        }
    finally:
        models.release()


def engine_opener(cases: Sequence[GoldenCase], wanted: int | None) -> OpenEngine:
    """Loads models in this process, or for several workers where there is enough to compute.

    Args:
        cases: The cases that every side answers.
        wanted: Number of workers; None chooses it.
    """

    def open_engine(sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> Engine:
        if wanted == 1 or plan.engine != "transformers" or plan.device != "cpu":
            return open_sides(sides, plan)
        parameters = [_parameters(model.base_model) for model in sides.values()]
        if wanted is None and 2 * _tokens(cases) * sum(parameters) < _WORTH_OPERATIONS:
            return open_sides(sides, plan)
        from harness.engines.workers.choose import open_chosen

        return open_chosen(sides, plan, wanted, _weight_bytes(sides))

    return open_engine


def ray_opener(address: str, wanted: int | None) -> OpenEngine:
    """Loads models on the nodes of a Ray cluster.

    Args:
        address: The cluster's, empty for the usual one.
        wanted: Workers on each node without a GPU; None chooses the number.
    """

    def open_engine(sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> Engine:
        from harness.engines.workers.ray_cluster import open_ray

        return open_ray(sides, plan, address, wanted, _weight_bytes(sides))

    return open_engine


def _weight_bytes(sides: Mapping[str, ModelRef]) -> int:
    """Size of all bases' weights in memory, in float32."""
    return 4 * sum(_parameters(base) for base in {model.base_model for model in sides.values()})


def _parameters(base_model: str) -> int:
    """At most so many: a file's numbers have two bytes or more, but for those of quantised models."""
    directory = resolve_model(base_model, recorded=True)
    return sum(file.stat().st_size for file in directory.glob("*.safetensors")) // 2


def _tokens(cases: Sequence[GoldenCase]) -> int:
    """At most about so many are read and written for one side's answers."""
    return sum(
        len(case.answer_keys)
        * (
            sum(len(message.content) for message in case.messages) // _CHARACTERS_PER_TOKEN
            + case.generation.token_limit
        )
        for case in cases
    )


def uses_of(before: Sequence[ServerUse], engine: Engine | None) -> list[ServerUse]:
    """How servers were used by each engine of a session.

    Args:
        before: By those that are no longer open.
        engine: The one that is.
    """
    server = None if engine is None else engine.plan.server
    return [*before, *([] if server is None else [server])]


@dataclass(slots=True)
class _Models:
    """The models of a session, loaded when an answer of theirs is missing.

    Attributes:
        plan: How they should compute.
        answered: As in PartialAnswers, of all workloads so far.
        opened: The loaded sides.
        before: How servers were used by engines that are no longer open.
        said: What a reader has to know of texts without a loss.
    """

    sides: Mapping[str, ModelRef]
    plan: ExecutionPlan
    cache: Cache
    on_progress: Progress
    open_engine: OpenEngine
    answered: dict[str, bool]
    engine: Engine | None = None
    opened: set[str] = field(default_factory=set)
    before: list[ServerUse] = field(default_factory=list)
    said: ServerUse = field(default_factory=ServerUse)

    def compute(self, answers: PartialAnswers, on_answers: OnAnswers = lambda side, answers: None) -> None:
        """Compute what is missing.

        Args:
            answers: The answers so far; changed in place.
            on_answers: Called with each batch's answers by side.
        """
        answers.answered = self.answered
        answers.note_answered()
        is_served = self.plan.engine in SERVED
        with stored_answers_enough(answers, self.cache) if is_served else nullcontext():
            if (engine := self._needed(answers)) is not None:
                compute_missing(engine, answers, self.cache, self.on_progress, on_answers)
        if is_served and answers.workload.texts:
            self.said = said_of_texts(answers)

    def _needed(self, answers: PartialAnswers) -> Engine | None:
        """The engine with the sides that miss something; None if nothing is missing, or can be asked."""
        if not (needed := answers.needed_sides):
            return None
        if self.engine is None or not needed <= self.opened:
            # A side whose first answers were all stored may miss a later one.
            self.release()
            self.before, self.engine = uses_of(self.before, self.engine), None
            try:
                self.engine = self._open(self.opened | needed)
            except FailedTogetherError as error:  # such as of a server that has gone since the look before
                keep_session(answers, error, self.plan.engine)
        return self.engine

    def release(self) -> None:
        """Let the engine release what it holds outside this process, such as adapters on a server."""
        _release(self.engine)

    @property
    def used(self) -> ExecutionPlan:
        """How they computed; as planned where nothing was missing."""
        plan = self.plan if self.engine is None else self.engine.plan
        if plan.server is None or (self.said == ServerUse() and not self.before):
            return plan
        from harness.engines.served.reports import with_uses

        return with_uses(plan, [*uses_of(self.before, self.engine), self.said])

    def _open(self, needed: set[str]) -> Engine:
        plan = replace(self.plan, mixed=self.plan.mixed and len(needed) > 1)
        opened = {side: model for side, model in self.sides.items() if side in needed}
        self.on_progress("loading", 0, len(opened))
        engine = self.open_engine(opened, plan)
        if plan.weights != "merged":
            # Merged weights can't be separated again.
            try:
                for side, model in opened.items():
                    # Each time: whether it changes anything depends on all of the plan.
                    check_alive(engine, side, model)
            except BaseException:
                _release(engine)
                raise
        self.on_progress("loading", len(opened), len(opened))
        self.opened = set(opened)
        return engine


def _release(engine: Engine | None) -> None:
    close = getattr(engine, "close", None)
    if close is not None:
        close()


def compute_missing(
    engine: Engine, answers: PartialAnswers, cache: Cache, on_progress: Progress, on_answers: OnAnswers
) -> None:
    """Compute missing answers with the engine, and store each finished batch.

    Cases and references on which a model fails are recorded as failed, and the others answered. That it fails
    on all that is missing ends nothing either where it has answered something before.

    Args:
        engine: With every model loaded that has missing answers.
        answers: The answers so far; changed in place.
        cache: Where each batch is stored.
        on_progress: Called with the number of answers and texts, including stored ones.
        on_answers: Called with each batch's answers by side.

    Raises:
        EngineError: A model that has answered nothing failed on all requests, or a local one on general text.
        NoneAnsweredError: The same, for a reason that its user can fix.
    """
    stored = {*answers.completions}
    _answer_missing(engine, answers, cache, on_progress, on_answers)
    new = answers.completions.keys() - stored
    answers.answered |= {answers.workload.answers[place].side: True for place in new}
    texts, text_places = answers.workload.texts, answers.missing_texts

    def keep_losses(batch: Mapping[int, TextLoss]) -> None:
        store_losses(answers, {text_places[index]: loss for index, loss in batch.items()}, cache)
        on_progress("scoring texts", len(answers.losses), len(texts))

    if text_places:
        try:
            engine.losses([texts[place] for place in text_places], keep_losses)
        except (TextsUnmeasuredError, CasesFailedError, FailedTogetherError) as error:
            note_failed_texts(answers, text_places, error, engine.plan.engine, cache)


def _answer_missing(
    engine: Engine, answers: PartialAnswers, cache: Cache, on_progress: Progress, on_answers: OnAnswers
) -> None:
    workload, groups = answers.workload, _asked_once(answers)
    early: dict[int, Completion] = {}  # of batches that have not ended

    def keep(batch: Mapping[int, Completion], *, untimed: bool = False) -> None:
        finished = {place: completion for index, completion in batch.items() for place in groups[index]}
        new = {place: one for place, one in finished.items() if place not in answers.completions}
        store_completions(answers, finished, cache, untimed=untimed)
        _hand_over(workload, new, on_answers)
        if new:
            on_progress("answering", len(answers.completions), len(workload.answers))

    def keep_early(batch: Mapping[int, Completion]) -> None:
        early.update({groups[index][0]: completion for index, completion in batch.items()})
        try:
            keep(batch, untimed=True)
        except Exception as error:
            raise EarlyFaultError from error

    def keep_completions(batch: Mapping[int, Completion]) -> None:
        asked = {groups[index][0]: completion for index, completion in batch.items()}
        for place in asked:
            early.pop(place, None)
        if LISTENERS:
            tell_answers(workload, asked, engine.plan.engine)
        keep(batch)
        answers.answered |= {workload.answers[place].side: True for place in asked}

    on_progress("answering", len(answers.completions), len(workload.answers))
    if not groups:
        return
    if isinstance(engine, EarlyEngine):
        engine.on_early = None if workload.timed else keep_early
    try:
        engine.generate([workload.answers[first] for first, *_ in groups], keep_completions)
    except EarlyFaultError as fault:
        raise fault.__cause__ or fault from None
    except (CasesFailedError, FailedTogetherError) as error:
        note_failed_answers(answers, groups, error, engine.plan.engine)
        if LISTENERS:
            tell_failures(workload, answers.failures, engine.plan.engine)
    if early and LISTENERS:
        tell_answers(workload, early, engine.plan.engine)  # their workers were lost


def _asked_once(answers: PartialAnswers) -> list[list[int]]:
    """Indices of missing answers; those that would be the same stored answer are together, and asked once."""
    groups: dict[tuple[str, float | None], list[int]] = {}
    for place in answers.missing_answers:
        key = answers.answer_keys[place], answers.workload.answers[place].timeout_s
        groups.setdefault(key, []).append(place)
    return list(groups.values())


def _hand_over(workload: Workload, finished: Mapping[int, Completion], on_answers: OnAnswers) -> None:
    by_side: dict[str, dict[str, Completion]] = {}
    for place, completion in finished.items():
        request = workload.answers[place]
        by_side.setdefault(request.side, {})[request.key] = completion
    for side, completions in by_side.items():
        on_answers(side, completions)
