"""``tunegate advise``: from a goal, data and memory to an approach, its caveats and its first command."""

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from harness.cli.ask import ask
from harness.errors import SettingsError
from trainers.advice.approaches import APPROACHES, OUTSIDE, TRAINED_WEIGHTS
from trainers.advice.rules import Rule, fitting
from trainers.advice.situation import DATA, GOALS, UNITS, Situation
from trainers.estimate.memory import GIB, OBJECTIVES, Setup, Weights, estimate, total_bytes
from trainers.estimate.shape import Shape, shape_of_model, shape_of_size
from trainers.methods.catalogue import METHODS
from tunegate.printable import say

# One command as a group's own callback: a group is what the ``tunegate`` command mounts.
app = typer.Typer(invoke_without_command=True, subcommand_metavar="")


def advice(situation: Situation) -> Rule:
    """The row of the table that applies to a situation.

    Raises:
        SettingsError: The goal or the data kind is unknown.
    """
    _known("--goal", GOALS)(situation.goal)
    _known("--data", DATA)(situation.data)
    return next(fitting(situation))


def _known(option: str, allowed: Mapping[str, str]) -> Callable[[str], object]:
    def check(text: str) -> None:
        if text.lower() in OUTSIDE and option == "--goal":
            raise SettingsError(f"{option}: {text}: {OUTSIDE[text.lower()]}")
        if text not in allowed:
            raise SettingsError(f"{option}: found {text!r} (allowed: {', '.join(allowed)})")

    return check


def _count(text: str) -> None:
    if not text.isdecimal():
        raise SettingsError(f"--rows: found {text!r} (allowed: a whole number from 0)")


def _memory(text: str) -> None:
    try:
        is_size = float(text) > 0
    except ValueError:
        is_size = False
    if not is_size:
        raise SettingsError(f"--memory: found {text!r} (allowed: GiB of one device, such as 24)")


@app.callback()
def run(
    goal: Annotated[str | None, typer.Option(help=", ".join(GOALS))] = None,
    data: Annotated[str | None, typer.Option(help=", ".join(DATA))] = None,
    rows: Annotated[str | None, typer.Option(help="How many examples, pairs, thumbs … there are.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="GiB of memory on one GPU; asked for if training is advised.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Base: catalogue name, directory, hub id, or a size such as 8B.")
    ] = None,
    bare: Annotated[bool, typer.Option("--bare", help="The base doesn't follow instructions.")] = False,
) -> None:
    """Advise prompting, retrieval or a training method; asks for missing options."""
    goal = _given("--goal", goal, "What should the model improve at?", GOALS)
    data = _given("--data", data, "What do you have?", DATA)
    if data == "none":
        rows = "0"
    if rows is None:
        rows = ask("--rows", f"How many {UNITS[data]}?", check=_count)
    _count(rows)
    situation = Situation(goal=goal, data=data, rows=int(rows), instruct=not bare)
    rule = advice(situation)
    approach = APPROACHES[rule.approach]
    lines = [approach.title, "", f"why       {rule.reason}"]
    lines += [f"mind      {caveat}" for caveat in approach.caveats]
    lines += [f"next best {APPROACHES[other].title}" for other in rule.instead]
    if approach.trainers:
        if model is None:
            model = ask(
                "--model", "Which base (a name, a directory, or a size such as 8B)? [8B]", default="8B"
            )
        if memory is None:
            memory = ask("--memory", "How many GiB of memory has the GPU? [24]", default="24", check=_memory)
        _memory(memory)
        lines += fitted(approach.trainers, model, float(memory))
        lines += trained_weights(approach.trainers, model, float(memory))
        lines += [
            f"run       tunegate train {name} --init > {name}.yaml"
            for name in approach.trainers
            if name in METHODS
        ]
    lines.append("measure   tunegate golden new golden_sets/mine.yaml, before anything is changed")
    for line in lines:
        say(line)


def _given(option: str, value: str | None, question: str, allowed: Mapping[str, str]) -> str:
    if value is None:
        say("\n".join(f"  {name:12}{meaning}" for name, meaning in allowed.items()))
        value = ask(option, question, check=_known(option, allowed))
    _known(option, allowed)(value)
    return value


def shape_of(model: str) -> Shape:
    """The shape of a size such as 8B, or of a model.

    Raises:
        InputError: There is no such model, nor is it a size.
    """
    if model[:1].isdigit() and model[-1:].upper() in {"M", "B", "T"} and "/" not in model:
        return shape_of_size(model)[0]
    return shape_of_model(model)


def fitted(trainers: tuple[str, ...], model: str, memory_gib: float) -> list[str]:
    """One line per trainer: its memory with QLoRA, and what to change if that is too much.

    Args:
        trainers: Names of the trainers, in the order they are run in.
        model: A size such as 8B, a catalogue name, a directory or a hub id.
        memory_gib: Memory of one device, in GiB.
    """
    shape, lines = shape_of(model), []
    for name in trainers:
        batch = 8
        taken = _gib(shape, name, batch)
        while batch > 1 and taken > memory_gib:
            batch //= 2
            taken = _gib(shape, name, batch)
        said = f"{taken:.1f} GiB of {memory_gib:g} ({name}, QLoRA, batches of {batch} × 512 tokens)"
        if taken > memory_gib:
            said += ": too much; take a smaller base or shorter rows"
        elif batch < 8:
            said += f": set batch_size: {batch} and gradient_accumulation: {8 // batch}"
        lines.append(f"memory    {said}")
    return lines


def trained_weights(trainers: tuple[str, ...], model: str, memory_gib: float) -> list[str]:
    """One line per choice of what is trained, and whether full tuning fits into memory.

    Args:
        trainers: Names of the trainers, in the order they are run in.
        model: A size such as 8B, a catalogue name, a directory or a hub id.
        memory_gib: Memory of one device, in GiB.
    """
    shape = shape_of(model)
    lines: list[str] = []
    choices = TRAINED_WEIGHTS if _ANY_WEIGHTS.issuperset(trainers) else TRAINED_WEIGHTS[:2]
    for choice in choices:
        said = f"{choice.keys}  {choice.when}"
        weights = _WEIGHTS_OF.get(choice.keys)
        if weights is not None and shape.whole_problem is not None:
            said += f" Not here: {shape.whole_problem}."
        elif weights is not None:
            most = max(_gib(shape, name, 1, weights) for name in trainers)
            said += f" {most:.1f} GiB of {memory_gib:g} for one example at a time{_FITS[most <= memory_gib]}"
        lines.append(f"{'weights' if not lines else 'or':10}{said}")
    return lines


# Trainers that train all kinds of weights; the others train LoRA or a few kinds.
_ANY_WEIGHTS = frozenset({"sft", "continual", "dpo", "orpo", "kto", "grpo"})
# The choices whose memory differs much, as ``tunegate estimate`` calls them.
_WEIGHTS_OF: Mapping[str, Weights] = {"quantization: none": "lora", "peft: {method: full}": "full"}
_FITS = {True: ".", False: ": too much."}


def _gib(shape: Shape, trainer: str, batch: int, weights: Weights = "qlora") -> float:
    objective = trainer if trainer in OBJECTIVES else "sft"
    return total_bytes(estimate(shape, Setup(weights=weights, objective=objective, batch_size=batch))) / GIB
