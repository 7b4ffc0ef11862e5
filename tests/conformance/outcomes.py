"""One family with one kind of adapter: made, answered by the bare script and by tunegate, and compared."""

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.bare import DEVICE, NEW_TOKENS, PROMPTS, bare_texts, parting
from tests.conformance.kinds import BY_NAME, Kind, save_adapter
from tests.conformance.tiny import Family, save_base

EQUAL, REFUSED, NOT_MADE, DIFFERENT = "equal", "refused", "not made", "different"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a combination.

    Attributes:
        word: One of the words above; ``not made`` where PEFT can't put the adapter on the family.
        detail: Which side differs, or the line that refuses it.
    """

    word: str
    detail: str = ""


@dataclass(frozen=True)
class Base:
    """A family's model, with a plain adapter of it, and what the bare script says of both."""

    family: Family
    directory: Path
    texts: list[str] | None
    plain: Path | None
    plain_texts: list[str] | None


def make_base(family: Family, directory: Path) -> Base:
    """Save a family's model and a plain adapter of it."""
    base = save_base(family, directory / "base")
    plain: Path | None = directory / "plain"
    try:
        save_adapter(BY_NAME["lora"], family, base, directory / "plain", seed=7)
    except Exception:
        plain = None
    return Base(family, base, _bare_or_none(base), plain, plain and _bare_or_none(base, plain))


def outcome_alone(base: Base) -> Outcome:
    """A family's model, gated as it is."""
    from harness.run.cache import Cache

    with Cache(None) as cache:
        return compare({"candidate": base.texts}, {"candidate": base.directory}, cache)


def outcome_of(base: Base, kind: Kind, directory: Path, *, all_sides: bool) -> Outcome:
    """A kind of adapter on a family's model.

    Args:
        base: The family.
        kind: The adapter's.
        directory: Where it is made.
        all_sides: Whether it is also gated beside a plain adapter, and what it leaves in the cache is looked
            at: its own answers, and the base's for a later gate of the plain adapter.
    """
    from harness.run.cache import Cache

    try:
        adapter = save_adapter(kind, base.family, base.directory, directory)
    except Exception as error:
        return Outcome(NOT_MADE, f"{type(error).__name__}: {error}")
    own = {"candidate": _bare_or_none(base.directory, adapter), "baseline": base.texts}
    with Cache(None) as cache:
        found = compare(own, {"candidate": adapter}, cache)
        if found.word != EQUAL or not all_sides:
            return found
        stored = compare(own, {"candidate": adapter}, cache, warm=True)
        if stored.word != EQUAL or base.plain is None:
            return stored
        after = {"candidate": base.plain_texts, "baseline": base.texts}
        later = compare(after, {"candidate": base.plain}, cache)
        if later.word != EQUAL:
            return Outcome(DIFFERENT, f"a plain adapter gated after it: {later}")
    with Cache(None) as cache:
        both = {"candidate-1": base.plain_texts, "candidate-2": own["candidate"], "baseline": base.texts}
        return compare(both, {"candidate-1": base.plain, "candidate-2": adapter}, cache)


def compare(
    expected: Mapping[str, list[str] | None], models: Mapping[str, Path], cache, *, warm: bool = False
) -> Outcome:
    """Let the gate's own stages answer on all sides, and compare each side's texts."""
    from harness.engines.open import base_of, choose_plan, describe_model
    from harness.errors import TunegateError
    from harness.run.generation import answer_cases
    from harness.types import GenerationSettings, GoldenCase, Message

    def refuse(*_):
        raise AssertionError("a model was loaded for answers that are stored")

    # Compared is all that a model writes, its reasoning too.
    settings = GenerationSettings(max_new_tokens=NEW_TOKENS, score_reasoning=True)
    cases = [
        GoldenCase(
            id=f"c{place}",
            set_name="s",
            messages=(Message(role="user", content=prompt),),
            generation=settings,
        )
        for place, prompt in enumerate(PROMPTS)
    ]
    try:
        sides = {side: describe_model(str(directory)) for side, directory in models.items()}
        base = base_of(next(iter(sides.values())))
        if base is not None:
            sides["baseline"] = base
        plan = choose_plan("float32", DEVICE, 4096, list(sides.values()))
        opened = {"open_engine": refuse} if warm else {}
        answers = answer_cases(sides, plan, cases, cache, lambda *_: None, **opened)
    except TunegateError as error:
        lines = str(error).splitlines()
        return Outcome(REFUSED, lines[0]) if len(lines) == 1 else Outcome(DIFFERENT, f"no line: {lines}")
    for side, given in answers.items():
        texts = [given.completions[case.key].text for case in cases if case.key in given.completions]
        if texts != expected[side]:
            where = _first_difference(sides[side], texts, expected[side])
            return Outcome(DIFFERENT, f"{side}: {texts} instead of {expected[side]}; {where}")
    return Outcome(EQUAL)


def _first_difference(model, texts: list[str], expected: list[str] | None) -> str:
    """How near the two answers are where they part, to tell a rounding from a fault."""
    if expected is None:
        return "the bare script fails"
    adapter = model.adapter_dir and Path(model.adapter_dir)
    if len(texts) != len(expected):
        return f"{len(texts)} answers instead of {len(expected)}"
    place = next(n for n, text in enumerate(texts) if text != expected[n])
    return f"prompt {place + 1}, {parting(Path(model.base_model), adapter, PROMPTS[place], texts[place])}"


@contextmanager
def quiet():
    """The libraries' own notices are no part of the comparison."""
    import logging
    import warnings

    from transformers.utils import logging as library_logging

    library_logging.disable_progress_bar()
    level = library_logging.get_verbosity()
    library_logging.set_verbosity(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        library_logging.set_verbosity(level)


def _bare_or_none(base: Path, adapter: Path | None = None) -> list[str] | None:
    """The bare script's texts; None where it fails itself: then a refusal is all that can be right."""
    try:
        return bare_texts(base, adapter)
    except Exception:
        return None
