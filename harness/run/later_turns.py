"""The later turns of multi-turn cases: each is asked once the model has answered the turn before."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.engines.base import GenerationRequest
from harness.run.cache import Cache
from harness.run.prompting import render_turn
from harness.run.workload import Answers, PartialAnswers, Workload, look_up, with_prompt
from harness.types import Completion, ExecutionPlan, GoldenCase, ModelRef
from harness.types.run import conversation

# Further than any case's answers, noise records and confirming answers reach.
_SEEDS_APART = 1_000_003


@dataclass(frozen=True, slots=True)
class _Dialogue:
    """One side's conversation on one case, for one of its answers.

    Attributes:
        answers: What the model has said so far.
        failure: Why it can't go on; at most one entry.
    """

    side: str
    case: GoldenCase
    key: str
    number: int
    answers: list[Completion]
    failure: list[str] = field(default_factory=list)


def answer_later_turns(
    sides: Mapping[str, ModelRef],
    plan: ExecutionPlan,
    cases: Sequence[GoldenCase],
    first: Mapping[str, Answers],
    cache: Cache,
    compute: Callable[[PartialAnswers], None],
) -> dict[str, Answers]:
    """Ask all further turns, of all sides and cases together, one turn after the other.

    Args:
        sides: The models, by side.
        plan: How they compute.
        cases: All cases; those with one turn are left as they are.
        first: The sides' answers to the first turns.
        cache: Looked up first.
        compute: Computes what is missing.

    Returns:
        The sides' answers, where a multi-turn case's is the last one, with the earlier ones in it.

    Raises:
        TunegateError: The models can't answer.
    """
    dialogues = [
        _Dialogue(side, case, key, number, [answers.completions[key]])
        for side, answers in first.items()
        for case in cases
        for number, key in enumerate(case.answer_keys)
        if case.turns and key in answers.completions
    ]
    for turn in range(2, max((len(one.case.turns) for one in dialogues), default=1) + 1):
        going = [one for one in dialogues if len(one.case.turns) >= turn and not one.failure]
        _answer_turn(going, sides, plan, cache, compute)
    by_side = {side: [one for one in dialogues if one.side == side] for side in first}
    return {side: _with_dialogues(answers, by_side[side]) for side, answers in first.items()}


def _answer_turn(
    dialogues: Sequence[_Dialogue],
    sides: Mapping[str, ModelRef],
    plan: ExecutionPlan,
    cache: Cache,
    compute: Callable[[PartialAnswers], None],
) -> None:
    requests = [_request(one, plan) for one in dialogues]
    asked: list[tuple[_Dialogue, GenerationRequest]] = []
    for one, request in zip(dialogues, render_turn(requests, sides, plan, cache), strict=True):
        if isinstance(request, str):
            one.failure.append(f"turn {len(one.answers) + 1}: {request}")
        else:
            asked.append((one, request))
    answers = look_up(Workload(answers=tuple(request for _, request in asked)), sides, plan, cache)
    compute(answers)
    for place, (one, request) in enumerate(asked):
        if place in answers.completions:
            one.answers.append(with_prompt(answers.completions[place], request))
        else:
            one.failure.append(f"turn {len(one.answers) + 1}: {answers.failures[place]}")


def _request(dialogue: _Dialogue, plan: ExecutionPlan) -> GenerationRequest:
    case = dialogue.case.asked_with(plan.chat_template_kwargs)
    # By the random numbers of the turn before, its tokens would depend on that one's.
    drawn = _SEEDS_APART * len(dialogue.answers) if case.generation.temperature > 0 else 0
    return GenerationRequest(
        key=dialogue.key,
        side=dialogue.side,
        messages=conversation(case, dialogue.answers),
        settings=replace(case.generation, seed=case.generation.seed + dialogue.number + drawn),
        timeout_s=case.timeout_s,
    )


def _with_dialogues(answers: Answers, dialogues: Collection[_Dialogue]) -> Answers:
    finished = {
        one.key: replace(one.answers[-1], earlier=tuple(one.answers[:-1]))
        for one in dialogues
        if not one.failure
    }
    failed = {one.key: one.failure[0] for one in dialogues if one.failure}
    kept = {key: completion for key, completion in answers.completions.items() if key not in failed}
    return replace(answers, completions={**kept, **finished}, failures={**answers.failures, **failed})
