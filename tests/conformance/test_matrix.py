"""Text equality with a bare script, or a refusal of one line, for every family and kind of adapter.

A representative part runs with all tests and is held to what was measured: one family with all kinds, all families
with some. ``make conformance`` (TUNEGATE_CONFORMANCE=full) measures the whole matrix and writes the page; ``part``
measures the representative part; ``held`` holds the whole matrix to what was measured, on as many workers as are
given. TUNEGATE_CONFORMANCE_DEVICE=cuda lets the bare script and the gate compute there.
"""

import os

import pytest

from tests.conformance.bare import DEVICE
from tests.conformance.families import FAMILIES
from tests.conformance.kinds import BY_NAME, KINDS
from tests.conformance.outcomes import EQUAL, NOT_MADE, REFUSED, make_base, outcome_alone, outcome_of, quiet
from tests.conformance.page import ALONE, load_outcomes

pytestmark = pytest.mark.matrix
_WANTED = os.environ.get("TUNEGATE_CONFORMANCE", "")
FULL, MEASURES = _WANTED in {"full", "held"}, _WANTED in {"full", "part"}
# Some families of the whole matrix, which takes half a minute for each; or some kinds, with ; between them.
_NAMED = os.environ.get("TUNEGATE_CONFORMANCE_FAMILIES", "")
CHOSEN = [family for family in FAMILIES if not _NAMED or family.name in _NAMED.split(",")]
_NAMED_KINDS = os.environ.get("TUNEGATE_CONFORMANCE_KINDS", "")
CHOSEN_KINDS = [kind for kind in KINDS if not _NAMED_KINDS or kind.name in _NAMED_KINDS.split(";")]
# Of these all sides are looked at: each is a way of its own to share, or not to share, the base.
_ALL_SIDES = {
    *("lora", "lora and biases", "lora from pissa", "lora and saved embeddings", "lora and new tokens"),
    *("lora and a norm", "alora", "ia3", "prompt tuning", "lora on repeated layers"),
}
# PEFT computes these from the base at each load, on each device another one: elsewhere than on the CPU they are refused.
_OF_THE_CPU = {"adamss", "psoft"}
_EVERYWHERE = ("lora", "lora and all embeddings")


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """The families' models, each made when it is first asked for."""
    made = {}

    def base_of(family):
        if family.name not in made:
            with quiet():
                made[family.name] = make_base(family, tmp_path_factory.mktemp("family"))
        return made[family.name]

    return base_of


def chosen():
    """The combinations of this run."""
    for family in CHOSEN:
        for kind in CHOSEN_KINDS:
            if FULL or family is FAMILIES[0] or kind.name in _EVERYWHERE:
                yield pytest.param(family, kind, id=f"{family.name}-{kind.name}")


@pytest.fixture(scope="session")
def measured():
    """Where the outcomes of a run that measures are gathered, to be stored with those of other runs."""
    from tests.conformance.page import store_outcomes

    found = {}
    yield found
    if found:
        store_outcomes(found)


def hold(outcome, family, name, measured):
    """Note the outcome of a run that measures; hold that of another one to what was measured."""
    from tests.conformance.page import without_places

    said = f"{outcome.word}: {outcome.detail}"  # a string is shown whole
    assert outcome.word in {EQUAL, REFUSED, NOT_MADE}, said
    if MEASURES:
        detail = without_places(outcome.detail) if outcome.word == REFUSED else ""
        measured.setdefault(family.name, {})[name] = [outcome.word, detail]
    else:
        stored = load_outcomes()[family.name][name][0]
        elsewhere = DEVICE != "cpu" and name in _OF_THE_CPU and stored == EQUAL
        assert outcome.word == (REFUSED if elsewhere else stored), said


@pytest.mark.parametrize("family", CHOSEN, ids=lambda family: family.name)
def test_a_model_by_itself(family, bases, measured):
    with quiet():
        hold(outcome_alone(bases(family)), family, ALONE, measured)


@pytest.mark.parametrize(("family", "kind"), list(chosen()))
def test_an_adapter(family, kind, bases, measured, tmp_path):
    all_sides = kind.name in _ALL_SIDES and (FULL or family is FAMILIES[0])
    with quiet():
        outcome = outcome_of(bases(family), kind, tmp_path / "adapter", all_sides=all_sides)
    hold(outcome, family, kind.name, measured)


def test_the_names_of_this_file_are_kinds():
    assert {*_ALL_SIDES, *_EVERYWHERE, *_OF_THE_CPU} <= set(BY_NAME)
