"""Cases of several turns: the model answers each, with its own answers before."""

import json
from dataclasses import replace

import pytest

from harness.authoring.lint import lint_golden_set
from harness.errors import CasesFailedError, GoldenError
from harness.golden.load import load_golden_set
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.run.scoring import score_cases
from harness.types import Completion, GateRecord, Outcome, Run
from harness.types.run import conversation
from harness.types.storage import decode, encode

TRIP = {
    "id": "trip",
    "turns": [
        {"user": "A flight to {{city}}.", "checks": [{"type": "icontains", "value": "when"}]},
        {"user": "On Friday.", "references": ["one way"], "checks": [{"type": "contains"}]},
        {"user": "One way."},
    ],
    "vars": {"city": "Oslo"},
    "references": ["booked"],
    "checks": [{"type": "contains"}],
}


def load(folder, *cases, **keys):
    path = folder / "set.yaml"
    path.write_text(json.dumps({"name": "s", "cases": list(cases), **keys}))
    return load_golden_set(path)


@pytest.fixture
def talk(models, plan, engine_class):
    """Answers cases with an engine whose answers show the conversation; the answers, and what was asked."""

    def answer(cases, cache=None, *, fails=(), sides=("candidate",), engine=None):
        engine = engine or engine_class()
        seen, opened = [], []

        def generate(requests, on_batch):
            seen.extend(
                (r.side, r.key, tuple(m.content for m in r.messages), r.settings.seed) for r in requests
            )
            failing = {i: "broke" for i, r in enumerate(requests) if r.messages[-1].content in fails}
            on_batch(
                {
                    i: Completion(
                        text=f"{r.side[0]}{len(r.messages)}",
                        stop_reason="stop",
                        prompt_tokens=1,
                        completion_tokens=1,
                        latency_s=0.1,
                    )
                    for i, r in enumerate(requests)
                    if i not in failing
                }
            )
            if failing:
                raise CasesFailedError(failing)

        engine.generate = generate

        def open_engine(opening, wanted):
            opened.append(tuple(opening))
            engine.plan = wanted
            return engine

        with Cache(None) as own:
            given = answer_cases(
                {side: models[side] for side in sides},
                plan,
                cases,
                cache or own,
                lambda *_: None,
                open_engine=open_engine,
            )
        return given, seen, opened

    return answer


def test_each_turn_is_asked_with_the_sides_own_answers(talk, tmp_path):
    trip = load(tmp_path, TRIP).cases[0]
    given, seen, opened = talk([trip], sides=("candidate", "baseline"))
    assert opened == [("candidate", "baseline")]
    assert [each[:3] for each in seen] == [
        ("candidate", "s/trip", ("A flight to Oslo.",)),
        ("baseline", "s/trip", ("A flight to Oslo.",)),
        ("candidate", "s/trip", ("A flight to Oslo.", "c1", "On Friday.")),
        ("baseline", "s/trip", ("A flight to Oslo.", "b1", "On Friday.")),
        ("candidate", "s/trip", ("A flight to Oslo.", "c1", "On Friday.", "c3", "One way.")),
        ("baseline", "s/trip", ("A flight to Oslo.", "b1", "On Friday.", "b3", "One way.")),
    ]
    last = given["baseline"].completions["s/trip"]
    assert (last.text, [one.text for one in last.earlier]) == ("b5", ["b1", "b3"])
    assert [message.role for message in conversation(trip, last.earlier)] == ["user", "assistant"] * 2 + [
        "user"
    ]


def test_repeats_have_conversations_and_seeds_of_their_own(talk, tmp_path):
    case = load(tmp_path, {**TRIP, "repeat": 2, "generation": {"temperature": 1.0, "seed": 7}}).cases[0]
    given, seen, _ = talk([case])
    assert [(key, len(messages), seed) for _, key, messages, seed in seen] == [
        (key, count, seed + 1_000_003 * turn)
        for turn, count in enumerate((1, 3, 5))
        for key, seed in (("s/trip", 7), ("s/trip#2", 8))
    ]
    assert all(len(one.earlier) == 2 for one in given["candidate"].completions.values())


def test_cases_of_fewer_turns_end_before(talk, tmp_path):
    short = {**TRIP, "id": "short", "turns": TRIP["turns"][:2]}
    single = {"id": "single", "prompt": "Hi", "checks": [{"type": "is-json"}]}
    given, _, _ = talk(load(tmp_path, TRIP, short, single).cases)
    answers = given["candidate"].completions
    assert {key: (one.text, len(one.earlier)) for key, one in answers.items()} == {
        "s/trip": ("c5", 2),
        "s/short": ("c3", 1),
        "s/single": ("c1", 0),
    }


def test_stored_turns_load_no_model(talk, tmp_path):
    case = load(tmp_path, TRIP).cases[0]
    with Cache(None) as cache:
        first, _, _ = talk([case], cache)
        again, seen, opened = talk([case], cache)
        assert (seen, opened) == ([], [])
        assert again["candidate"].completions == first["candidate"].completions
        # A later turn that changed is asked alone.
        changed = load(tmp_path, {**TRIP, "turns": [*TRIP["turns"][:2], {"user": "Return."}]}).cases[0]
        _, seen, opened = talk([changed], cache)
        assert [each[2][-1] for each in seen] == ["Return."]
        assert opened == [("candidate",)]


def test_a_model_that_fails_on_a_turn_fails_on_the_case_alone(talk, tmp_path):
    single = {"id": "single", "prompt": "Hi", "checks": [{"type": "contains", "value": "c1"}]}
    cases = load(tmp_path, TRIP, single).cases
    given, _, _ = talk(cases, fails=("On Friday.",))
    answers = given["candidate"]
    assert answers.failures == {"s/trip": "turn 2: broke"}
    assert set(answers.completions) == {"s/single"}
    results = score_cases(cases, answers.completions, failures=answers.failures)
    assert [result.outcome for result in results] == [Outcome.ERRORED, Outcome.PASSED]
    assert results[0].errors[0].error == "turn 2: broke"


def said(*texts, latency=0.1):
    answers = [
        Completion(text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=latency)
        for text in texts
    ]
    return replace(answers[-1], earlier=tuple(answers[:-1]))


@pytest.mark.parametrize(
    ("texts", "outcome", "failed"),
    [
        (("When?", "Is it one way?", "It is booked."), Outcome.PASSED, []),
        (("Hello", "Is it one way?", "It is booked."), Outcome.FAILED, ["icontains"]),
        (("When?", "It is booked.", "It is booked."), Outcome.FAILED, ["contains"]),
        (("When?", "Is it one way?", "one way"), Outcome.FAILED, ["contains"]),
    ],
)
def test_checks_see_the_answer_of_their_turn_with_its_references(tmp_path, texts, outcome, failed):
    (result,) = score_cases(load(tmp_path, TRIP).cases, {"s/trip": said(*texts)})
    assert result.outcome is outcome
    assert [score.metric for score in result.scores if score.passed is False] == failed


def test_a_judge_is_asked_about_the_conversation_up_to_its_turn(tmp_path, monkeypatch):
    from harness.run import scoring

    seen = []
    monkeypatch.setattr(
        scoring, "_score_metric", lambda metric, requests, *_: seen.extend(requests) or scoring_of(requests)
    )
    case = load(tmp_path, TRIP).cases[0]
    score_cases([case], {"s/trip": said("When?", "one way", "booked")})
    assert [(r.check.type, len(r.case.messages), r.text) for r in seen] == [
        ("icontains", 1, "When?"),
        ("contains", 3, "one way"),
        ("contains", 5, "booked"),
    ]


def scoring_of(requests):
    from harness.types import Score

    return [Score(metric=request.check.type, value=1.0, passed=True) for request in requests]


def test_groups_and_time_limits_respect_turns(tmp_path):
    group = {
        "type": "any-of",
        "checks": [{"type": "contains", "value": "x"}, {"type": "contains", "value": "y"}],
    }
    case = {**TRIP, "timeout": 1, "turns": [{"user": "a", "checks": [group]}, {"user": "b"}]}
    (loaded,) = load(tmp_path, case).cases
    assert score_cases([loaded], {"s/trip": said("y", "booked")})[0].outcome is Outcome.PASSED
    assert score_cases([loaded], {"s/trip": said("b", "booked y")})[0].outcome is Outcome.FAILED
    late = said("y", "booked", latency=1.5)
    assert score_cases([loaded], {"s/trip": late})[0].outcome is Outcome.ERRORED


def test_an_earlier_turn_without_an_answer_fails_its_checks(tmp_path):
    case = load(
        tmp_path,
        {**TRIP, "turns": [{"user": "a", "checks": [{"type": "not-contains", "value": "x"}]}, {"user": "b"}]},
    ).cases[0]
    silent = replace(said(""), reasoning="hm", text="")
    (result,) = score_cases([case], {"s/trip": replace(said("booked"), earlier=(silent,))})
    assert result.outcome is Outcome.FAILED


def test_a_turn_that_changes_is_another_case(tmp_path):
    before = load(tmp_path, TRIP).cases[0].content_sha256
    other = load(tmp_path, {**TRIP, "turns": [*TRIP["turns"][:2], {"user": "Return."}]}).cases[0]
    assert other.content_sha256 != before
    moved = [
        {**TRIP["turns"][0], "checks": []},
        {**TRIP["turns"][1], "checks": [*TRIP["turns"][1]["checks"], *TRIP["turns"][0]["checks"]]},
        TRIP["turns"][2],
    ]
    assert load(tmp_path, {**TRIP, "turns": moved}).cases[0].content_sha256 != before


def test_a_run_with_turns_is_stored_and_read(tmp_path, models, plan):
    from harness.types import Environment

    (result,) = score_cases(load(tmp_path, TRIP).cases, {"s/trip": said("When?", "one way", "booked")})
    run = Run(
        id="r", started_at="t", duration_s=1.0, model=models["base"], plan=plan, golden_sets=(), collected=1, results=(result,),
        environment=Environment(python="3", platform="p", packages={}),
    )  # fmt: skip
    assert decode(GateRecord, encode(GateRecord(run=run))).run.results == (result,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"turns": [{"user": "a"}]}, r"turns: found .*"),
        ({"prompt": "p"}, "give one of prompt, messages and turns"),
        ({"turns": [{"user": "a"}, {"user": " "}]}, r"turns\[1\].user: trip: the turn is empty"),
        ({"turns": [{"user": "a"}, {"user": "{{no}}"}]}, r"turns\[1\].user: trip: {{no}} has no value"),
        ({"turns": [{"user": "a", "checks": [{"type": "contians"}]}, {"user": "b"}]}, r"turns\[0\].checks\[0\].type: unknown check type"),
        ({"turns": [{"user": "a", "checks": [{"type": "contains"}]}, {"user": "b"}]}, r"turns\[0\].checks\[0\]: contains needs references or a value"),
        ({"checks": [{"type": "perplexity", "threshold": 9}]}, "trip: perplexity is for cases of one turn"),
        ({"checks": [{"type": "pairwise"}]}, "trip: pairwise is for cases of one turn"),
        ({"turns": [{"user": "a"}, {"user": "b"}], "checks": []}, "trip: no check"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(tmp_path, change, message):
    with pytest.raises(GoldenError, match=message):
        load(tmp_path, {**TRIP, **change})


def test_lint_answers_each_turn(tmp_path):
    golden_set = load(
        tmp_path,
        {
            "id": "a",
            "turns": [{"user": "Say hi", "checks": [{"type": "length", "max": 9}]}, {"user": "Say bye"}],
            "checks": [{"type": "length", "max": 99}],
        },
    )
    assert [finding.rule for finding in lint_golden_set(golden_set)] == ["passes-empty"]
    assert lint_golden_set(load(tmp_path, TRIP)) == []
