"""Equal questions are asked once, and what an engine reads of a case makes another question."""

from dataclasses import replace

import pytest

from harness.errors import CasesFailedError, SettingsError
from harness.types import Check, ServerUse


def test_a_prompt_that_stands_in_two_cases_is_asked_once_a_side(answered, case_of, engine_class):
    """The second case would get the stored answer of the first in the next run; samples are drawn one by one."""
    same = replace(case_of("a"), id="again")
    sampled = [
        replace(case, id=f"{case.id}-sampled", generation=replace(case.generation, temperature=1.0))
        for case in (case_of("a"), same)
    ]
    engine = engine_class()
    answers, _ = answered([case_of("a"), case_of("b"), same, *sampled], engine)
    asked = [key for side, key in engine.asked if side == "candidate"]
    assert sorted(asked) == ["s/a", "s/a-sampled", "s/again-sampled", "s/b"]
    for side in ("candidate", "baseline"):
        found = answers[side].completions
        assert found["s/again"].text == found["s/a"].text == f"{side} s/a 0"
        assert found["s/again-sampled"].text != found["s/a-sampled"].text


def test_what_fails_for_one_of_two_equal_prompts_fails_for_both(answered, case_of, engine_class):
    class FailingEngine(engine_class):
        def generate(self, requests, on_batch):
            bad = {i: "no" for i, request in enumerate(requests) if request.key == "s/a"}
            good = [(i, request) for i, request in enumerate(requests) if i not in bad]
            super().generate(
                [request for _, request in good],
                lambda batch: on_batch({good[i][0]: found for i, found in batch.items()}),
            )
            raise CasesFailedError(bad)

    answers, _ = answered([case_of("a"), case_of("b"), replace(case_of("a"), id="again")], FailingEngine())
    assert dict(answers["candidate"].failures) == {"s/a": "no", "s/again": "no"}
    assert set(answers["candidate"].completions) == {"s/b"}


@pytest.mark.parametrize("engine", ["fake", "openai", "training"])
@pytest.mark.parametrize(
    "differing",
    [
        {"tools": ({"type": "function", "function": {"name": "weather"}},)},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"date": "2026-01-02"},
    ],
)
def test_cases_that_differ_in_what_the_engine_renders_are_asked_each(
    answered, case_of, engine_class, plan, engine, differing
):
    """A server, a plug-in or the training renders them itself: no prompt is there that would differ."""
    one = case_of("a", references=("x",), checks=(Check(type="perplexity"),))
    other = replace(one, id="again", generation=replace(one.generation, **differing))
    chosen = replace(plan, engine=engine, server=ServerUse() if engine == "openai" else None)
    asking = engine_class()
    if engine == "openai" and "date" in differing:
        with pytest.raises(SettingsError, match="a date for the template can't be sent to a server"):
            answered([one, other], asking, ("candidate",), chosen=chosen)
        return
    answers, _ = answered([one, other], asking, ("candidate",), chosen=chosen)
    assert [key for _, key in asking.asked] == ["s/a", "s/again"]
    assert answers["candidate"].completions["s/again"].text == "candidate s/again 0"
    # Nor does a later run find the answer or loss of a case as it was before.
    edited = replace(other, id="a", generation=replace(one.generation, chat_template_kwargs={"edited": 1}))
    asking = engine_class()
    answered([edited], asking, ("candidate",), chosen=chosen)
    assert (asking.asked, asking.scored) == ([("candidate", "s/a")], [("candidate", "x")])
    again = engine_class()
    answered([one, other, edited], again, ("candidate",), chosen=chosen)
    assert (again.asked, again.scored) == ([], [])


def test_equal_prompts_with_other_timeouts_are_asked_each(answered, case_of, engine_class):
    engine = engine_class()
    answered([case_of("a"), replace(case_of("a"), id="again", timeout_s=5.0)], engine, ("candidate",))
    assert [key for _, key in engine.asked] == ["s/a", "s/again"]
