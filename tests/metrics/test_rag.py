"""ragas' metrics through a scripted judge on a real server: right values, and errors where there is none."""

import math
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.judge.open import open_judge
from harness.judge.panel import Panel
from harness.metrics import rag
from harness.run.cache import Cache
from harness.run.scoring import Judging, score_cases
from harness.types import Completion, Outcome
from tests.metrics.rag_judges import asked, by_words, kind

# Found, not imported: whoever collects the tests would wait for it.
pytestmark = pytest.mark.skipif(find_spec("ragas") is None, reason="the extra rag is not installed")

CASE = """\
name: s
cases:
  - id: tide
    prompt: "Read this and answer. What causes the tides?"
    references: ["The Moon. The Sun too."]
    retrieved_context: ["The Moon causes tides.", "Bread is baked."]
    checks: [{check}]
"""


def completion(text):
    return Completion(text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1)


@pytest.fixture
def case_with(tmp_path):
    """A case with one check, read from a golden set."""

    def build(check):
        path = tmp_path / "s.yaml"
        path.write_text(CASE.format(check=check))
        return load_golden_set(path).cases[0]

    return build


@pytest.fixture
def score(judge_server, tmp_path):
    """Scores answers to cases with judges at the scripted server."""
    opened = []

    def run(cases, texts, judges=1, **rest):
        cache = Cache(tmp_path / "cache.sqlite")
        specs = [judge_server.spec.replace("scripted", f"scripted{n}") for n in range(judges)]
        panel = Panel([open_judge(spec, cache, environment={}, **rest) for spec in specs])
        opened.append((panel, cache))
        completions = {case.key: completion(text) for case, text in zip(cases, texts, strict=True)}
        return score_cases(cases, completions, judging=Judging(panel=panel)), panel

    yield run
    for panel, cache in opened:
        panel.close()
        cache.close()


@pytest.mark.parametrize(
    ("check", "text", "value", "told"),
    [
        ("{type: faithfulness}", "It is the Moon. It is the Mars.", 0.5, "1 of 2 statements follow"),
        ("{type: context-recall}", "x", 0.5, "1 of 2 statements of the reference are"),
        ("{type: context-precision}", "x", 1.0, "useful passages: 1 of 2"),
    ],
)
def test_known_values(case_with, score, judge_server, check, text, value, told):
    judge_server.answer = by_words
    (result,), _ = score([case_with(check)], [text])
    assert result.errors == ()
    assert result.scores[0].value == value
    assert told in result.scores[0].explanation
    assert "(scripted0, ragas 0.4.3)" in result.scores[0].explanation


def test_what_was_asked_ahead_is_computed_once(case_with, score, judge_server, monkeypatch):
    judge_server.answer = by_words
    computed, recall = [], rag._COMPUTE["context-recall"]

    async def counted(model, request):
        computed.append(request.case.key)
        return await recall(model, request)

    monkeypatch.setattr(rag, "_COMPUTE", {**rag._COMPUTE, "context-recall": counted})
    case = case_with("{type: context-recall}")
    _, panel = score([case], ["x"])
    for text, times in (("x", 1), ("another", 2)):
        score_cases([case], {case.key: completion(text)}, judging=Judging(panel=panel))
        assert computed == [case.key] * times


def test_the_question_is_the_check_s_value_where_it_has_one(case_with, score, judge_server):
    judge_server.answer = by_words
    score([case_with("{type: faithfulness, value: Why tides?}")], ["The Moon."])
    assert asked(judge_server.bodies[0])["question"] == "Why tides?"
    score([case_with("{type: faithfulness}")], ["The Sun."])
    assert asked(judge_server.bodies[2])["question"] == "Read this and answer. What causes the tides?"


@pytest.fixture
def letters(monkeypatch):
    """Vectors of letter counts in the place of an encoder's."""

    def vector(name, text):
        counts = [text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
        length = math.sqrt(sum(count * count for count in counts))
        return tuple(count / length for count in counts)

    monkeypatch.setattr("harness.metrics.ragas_bridge._vector", vector)
    return vector


def test_answer_relevancy_is_the_mean_cosine_of_three_questions(case_with, score, judge_server, letters):
    """Each is asked on its own, though the prompt is the same."""
    judge_server.answer = lambda body: {"question": "abc"[: body["seed"] + 1], "noncommittal": 0}
    (result,), _ = score([case_with("{type: answer-relevancy, value: a}")], ["The Moon."])
    assert sorted(body["seed"] for body in judge_server.bodies) == [0, 1, 2]
    assert result.scores[0].value == pytest.approx((1 + 2**-0.5 + 3**-0.5) / 3, abs=1e-6)


def test_an_answer_that_commits_to_nothing_is_not_relevant(case_with, score, judge_server, letters):
    judge_server.answer = by_words
    (result,), _ = score([case_with("{type: answer-relevancy}")], ["I don't know."])
    assert (result.scores[0].value, result.scores[0].explanation[:27]) == (0.0, "the answer is noncommittal ")


@pytest.mark.parametrize(
    ("check", "text", "reply", "reason"),
    [
        (
            "{type: faithfulness}",
            "The Moon.",
            {"statements": []},
            "the judge found no statement in the answer",
        ),
        ("{type: faithfulness}", " ", None, "the answer is empty"),
        ("{type: context-recall}", "x", {"classifications": []}, "found no statement in the reference"),
        ("{type: context-precision}", "x", {"reason": "", "verdict": 7}, "7 is greater than the maximum"),
        ("{type: context-precision}", "x", "what?", "no JSON object"),
        ("{type: answer-relevancy}", "x", {"question": "", "noncommittal": 0}, "derived no question"),
    ],
)
def test_what_ragas_calls_nan_or_zero_is_an_error(
    case_with, score, judge_server, letters, check, text, reply, reason
):
    judge_server.answer = lambda body: reply
    (result,), _ = score([case_with(check)], [text])
    assert result.outcome is Outcome.ERRORED
    assert reason in result.errors[0].error
    assert result.scores == ()


def test_a_verdict_for_each_statement_is_insisted_on(case_with, score, judge_server):
    """Ragas would take one verdict of four statements for all of them."""

    def short(body):
        if kind(body) == "StatementGeneratorOutput":
            return {"statements": ["a", "b", "c", "d"]}
        return {"statements": [{"statement": "a", "reason": "", "verdict": 1}]}

    judge_server.answer = short
    (result,), _ = score([case_with("{type: faithfulness}")], ["The Moon."])
    assert "statements: [" in result.errors[0].error
    assert "too short" in result.errors[0].error


def test_a_panel_takes_the_median(case_with, score, judge_server):
    """One judge of three supports nothing."""

    def differing(body):
        said = by_words(body)
        if body["model"] == "scripted0" and kind(body) == "NLIStatementOutput":
            for one in said["statements"]:
                one["verdict"] = 0
        return said

    judge_server.answer = differing
    (result,), panel = score([case_with("{type: faithfulness}")], ["It is the Moon."], judges=3)
    assert result.scores[0].value == 1.0
    assert "median of 0, 1, 1" in result.scores[0].explanation
    assert panel.votes["faithfulness"] == [(0.0, 1.0, 1.0)]


@pytest.mark.parametrize(
    "name", ["faithfulness", "context-recall", "context-precision", "string-context-recall"]
)
def test_a_case_without_passages_is_refused(tmp_path, name):
    path = tmp_path / "s.yaml"
    value = ", value: [x]" if name.startswith("string") else ""
    path.write_text(
        f"name: s\ncases: [{{id: a, prompt: x, references: [y], checks: [{{type: {name}{value}}}]}}]\n"
    )
    with pytest.raises(GoldenError, match=f"{name} needs retrieved_context"):
        load_golden_set(path)


@pytest.mark.parametrize("name", ["context-recall", "context-precision"])
def test_a_question_is_no_reference(tmp_path, name):
    path = tmp_path / "s.yaml"
    path.write_text(
        f"name: s\ncases: [{{id: a, prompt: x, retrieved_context: [z], checks: [{{type: {name}, value: q}}]}}]\n"
    )
    with pytest.raises(GoldenError, match=f"{name} needs references"):
        load_golden_set(path)


@pytest.mark.parametrize(
    ("name", "wanted", "value"),
    [
        ("string-context-recall", '["The Moon causes tides.", "Salt is mined."]', 0.5),
        ("string-context-recall", '["The Moon causes tides"]', 1.0),
        ("string-context-precision", '["Bread is baked."]', 0.5),
        ("string-context-precision", '["Nothing of the kind at all."]', 0.0),
    ],
)
def test_passages_by_their_letters(case_with, name, wanted, value):
    pytest.importorskip("rapidfuzz")
    case = case_with(f"{{type: {name}, value: {wanted}}}")
    (result,) = score_cases([case], {case.key: completion("x")})
    assert result.scores[0].value == value


def test_other_passages_are_another_score(case_with, tmp_path):
    """A kept score is not taken for a case whose expected passages were changed."""
    pytest.importorskip("rapidfuzz")
    values = []
    with Cache(tmp_path / "c.sqlite") as cache:
        for wanted in ("The Moon causes tides.", "Salt is mined far from any harbour."):
            case = case_with(f"{{type: string-context-recall, value: [{wanted}]}}")
            (result,) = score_cases([case], {case.key: completion("x")}, cache=cache)
            values.append(result.scores[0].value)
    assert values == [1.0, 0.0]


def many(tmp_path, count):
    checks = (
        "[{type: faithfulness}, {type: context-recall}, {type: context-precision}, {type: answer-relevancy}]"
    )
    cases = "".join(
        f"  - {{id: c{n}, prompt: What is {n}?, references: ['It is {n}. It is odd.'], "
        f"retrieved_context: ['Here is {n}.', 'Nothing.'], checks: {checks}}}\n"
        for n in range(count)
    )
    path = tmp_path / "many.yaml"
    path.write_text("name: many\ncases:\n" + cases)
    return load_golden_set(path).cases


def test_four_metrics_of_forty_cases_keep_the_server_busy(tmp_path, score, judge_server, letters):
    """The server answers only when eight questions are under way: it always gets eight, to the very last."""
    barrier, lonely = threading.Barrier(8), []

    def waiting(body):
        try:
            barrier.wait(timeout=20)
        except threading.BrokenBarrierError:
            lonely.append(body)
            barrier.reset()
        return by_words(body)

    judge_server.answer = waiting
    texts = [f"It is {n}. It is made." for n in range(40)]
    results, panel = score(many(tmp_path, 40), texts, concurrency=8)
    assert [len(result.scores) for result in results] == [4] * 40
    # 2 for faithfulness, 1 for recall, 2 passages, 3 questions made of the answer.
    assert len(judge_server.bodies) == panel.usage.requests == 320
    assert lonely == []
    assert judge_server.most_at_once == 8


@pytest.mark.usefixtures("impatient")
def test_with_faults_every_case_ends_scored_or_errored_and_a_second_run_asks_nothing(
    tmp_path, score, judge_server, letters
):
    judge_server.answer, judge_server.fault_rate, judge_server.slow_s = by_words, 0.3, 0.05
    cases, texts = many(tmp_path, 40), [f"It is {n}. It is made." for n in range(40)]
    results, _ = score(cases, texts, timeout_s=5.0)
    assert all(len(result.scores) + len(result.errors) == 4 for result in results)
    assert all(error.error for result in results for error in result.errors)
    scored = sum(len(result.scores) for result in results)
    assert scored >= 150
    judge_server.fault_rate = 0.0
    results, _ = score(cases, texts)  # what was errored is asked for again
    assert sum(len(result.scores) for result in results) == 160
    before = len(judge_server.bodies)
    again, panel = score(cases, texts)
    assert len(judge_server.bodies) == before
    assert panel.usage.requests == 0
    assert [result.scores for result in again] == [result.scores for result in results]


ROOT = Path(__file__).parents[2]
BY_HAND = yaml.safe_load(Path(__file__).with_name("rag_by_hand.yaml").read_text(encoding="utf-8"))
HANDBOOK = load_golden_set(ROOT / "examples" / "rag" / "golden" / "handbook.yaml").cases


def test_every_shipped_case_has_its_values_by_hand():
    assert len(BY_HAND) >= 20
    assert {case.id for case in HANDBOOK} == set(BY_HAND)


@pytest.fixture
def right_judge(judge_server, monkeypatch):
    """Says what is right of each shipped case's answer; cosines are those that are noted beside the case."""
    by_question = {
        check.value: case.id for case in HANDBOOK for check in case.checks if check.type == "faithfulness"
    }
    by_answer = {known["answer"]: name for name, known in BY_HAND.items()}

    def verdicts(known, name):
        return [
            {"statement": statement, "reason": "by hand", name: value} for statement, value in known.items()
        ]

    def right(body):
        given = asked(body)
        match kind(body):
            case "StatementGeneratorOutput":
                return {"statements": list(BY_HAND[by_question[given["question"]]]["statements"])}
            case "NLIStatementOutput":
                (known,) = (
                    one["statements"]
                    for one in BY_HAND.values()
                    if list(one["statements"]) == given["statements"]
                )
                return {"statements": verdicts(known, "verdict")}
            case "ContextRecallOutput":
                return {
                    "classifications": verdicts(
                        BY_HAND[by_question[given["question"]]]["reference"], "attributed"
                    )
                }
            case "ContextPrecisionOutput":
                name = by_question[given["question"]]
                (case,) = (case for case in HANDBOOK if case.id == name)
                place = case.retrieved_context.index(given["context"])
                return {"reason": "by hand", "verdict": BY_HAND[name]["useful"][place]}
            case "AnswerRelevanceOutput":
                known = BY_HAND[by_answer[given["response"]]]
                return {
                    "question": f"cosine {known['asked_back'][body['seed']]}",
                    "noncommittal": known["noncommittal"],
                }

    def vector(name, text):
        cosine = float(text.partition("cosine ")[2]) if text.startswith("cosine ") else 1.0
        return (cosine, math.sqrt(1 - cosine * cosine))

    monkeypatch.setattr("harness.metrics.ragas_bridge._vector", vector)
    judge_server.answer = right


def test_the_shipped_cases_have_the_values_worked_out_by_hand(score, right_judge):
    cases = list(HANDBOOK)
    results, _ = score(cases, [BY_HAND[case.id]["answer"] for case in cases])
    names = ("faithfulness", "context-recall", "context-precision", "answer-relevancy")
    found = {
        result.case.id: {one.metric: one.value for one in result.scores if one.metric in names}
        for result in results
    }
    # Fractions as a person writes them: 2/3, 1.8/3.
    wanted = {
        name: {
            metric: pytest.approx(_fraction(value), abs=1e-5)
            for metric, value in zip(names, known["values"], strict=True)
        }
        for name, known in BY_HAND.items()
    }
    assert found == wanted
    assert [result.errors for result in results] == [()] * len(results)


def _fraction(written):
    above, _, below = str(written).partition("/")
    return float(above) / float(below or 1)


@pytest.mark.end_to_end
def test_the_real_encoder_holds_the_same_question_for_the_same(case_with, score, judge_server):
    """A question that is asked back word by word is as near as can be, another one is not."""
    judge_server.answer = lambda body: {
        "question": ["Why are there tides?", "How is bread baked?"][body["seed"] > 0],
        "noncommittal": 0,
    }
    check = "{type: answer-relevancy, value: Why are there tides?, questions: "
    (same,), _ = score([case_with(check + "1}")], ["The Moon."])
    (mixed,), _ = score([case_with(check + "2}")], ["The Moon."])
    assert same.scores[0].value == pytest.approx(1.0, abs=1e-5)
    assert 0.4 < mixed.scores[0].value < 0.8
