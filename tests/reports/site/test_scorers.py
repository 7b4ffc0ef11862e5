"""Two runs are compared where they were scored alike, and asked with whom they were compared."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.types import Check, GateRecord, MetricFacts, ModelRef, Score
from reports.site import payloads
from reports.site.digest import RunDigest, digest_of
from reports.site.gathering import SiteSource
from reports.site.scorers import deciding, scorers_payload

PLAIN = MetricFacts(kind="binary")
OF_A, OF_B = (replace(PLAIN, scored_by={"judge": name}) for name in "AB")
ALL_FOUR = ("is-json", "json-equals", "not-contains", "rouge-l")


def test_what_another_judge_or_version_scored_is_not_compared() -> None:
    """A stricter judge made 20 lost cases of an equal model; what says nothing of judges is the gate's own matter."""
    runs = [
        {"llm-rubric": OF_A, "equals": PLAIN},
        {"llm-rubric": OF_B, "equals": PLAIN},
        {"llm-rubric": OF_A, "equals": replace(PLAIN, version="2")},
        {"llm-rubric": OF_A, "equals": PLAIN},
        {"llm-rubric": PLAIN},
    ]
    found = scorers_payload(runs, ["a", "b", "a", None, "b"])
    assert found["scorers"] == [0, 1, 2, 0, 3]
    assert found["otherwise"]["0,1"] == {"llm-rubric": "which another judge decided in the baseline"}
    assert found["otherwise"]["1,2"] == {
        "llm-rubric": "which another judge decided in the baseline",
        "equals": "which was different in the baseline",
    }
    assert not any("3" in each for each in found["otherwise"])
    assert found["opponents"] == [0, 1, 0, None, 1]


def test_a_group_that_asks_for_pairs_is_decided_by_them(invented: Callable[..., GateRecord]) -> None:
    result = invented(lost=1).run.results[0]
    assert deciding(result) == ("is-json", "json-equals", "not-contains", "rouge-l")
    group = Check(type="any-of", checks=(Check(type="equals"), Check(type="pairwise")))
    case = replace(result.case, checks=(group,))
    scores = (Score(metric="any-of", value=1.0, passed=True), Score(metric="f1", value=0.5))
    assert deciding(replace(result, case=case, scores=scores)) == ("any-of", "pairwise")
    # Pairs that only inform decide nothing: of such a set no case was compared.
    case = replace(result.case, checks=(*result.case.checks, Check(type="pairwise")))
    informed = replace(result, case=case, scores=(*result.scores, Score(metric="pairwise", value=0.5)))
    assert deciding(informed) == deciding(result)
    group = Check(type="any-of", checks=(Check(type="pairwise"),))
    assert deciding(replace(informed, case=replace(case, checks=(*result.case.checks, group)))) == deciding(
        result
    )


def test_the_page_knows_what_decided_each_case_and_who_scored_it(
    invented: Callable[..., GateRecord], source: SiteSource
) -> None:
    data = source.gather()
    record = invented(orders=24, probes=12, lost=1)
    facts = {**record.run.metrics, "json-equals": replace(record.run.metrics["json-equals"], version="9")}
    other = digest_of(data.runs[-1].line, replace(record, run=replace(record.run, metrics=facts)), {})
    found = payloads.compare_payload(replace(data, runs=(*data.runs, other)))
    assert found["scorers"] == [0] * 12 + [1]
    assert found["otherwise"]["0,1"]["json-equals"] == "which was different in the baseline"
    assert decided_of_orders(found) == {(ALL_FOUR,)}


def decided_of_orders(found: dict[str, Any]) -> set[tuple[tuple[str, ...], ...]]:
    """What decided the orders, by their versions."""
    return {
        tuple(found["checks"][at] for at in places)
        for (key, *_), places in zip(found["cases"], found["decided"], strict=True)
        if key.startswith("orders/")
    }


def test_what_decided_a_case_is_known_of_each_version_and_where_the_newest_run_errored(
    source: SiteSource,
) -> None:
    """A judge that was down in the newest run hid that two others had judged the runs before it."""
    data = source.gather()
    last = data.runs[-1]
    down = {key: replace(case, sign="e", decided_by=()) for key, case in last.cases.items()}
    errored = payloads.compare_payload(replace(data, runs=(*data.runs, replace(last, cases=down))))
    assert decided_of_orders(errored) == {(ALL_FOUR,)}
    edited = {key: replace(case, content="other", decided_by=("equals",)) for key, case in last.cases.items()}
    found = payloads.compare_payload(replace(data, runs=(*data.runs, replace(last, cases=edited))))
    assert decided_of_orders(found) == {(ALL_FOUR, ("equals",))}


def test_a_case_is_marked_where_what_decided_it_was_scored_otherwise_before(source: SiteSource) -> None:
    """An outcome that another judge changed looked like one that the model changed."""
    data = source.gather()
    first = replace(data.runs[0], facts={"llm-rubric": OF_A, "equals": PLAIN}, opponent_name="a")

    def marks(facts: dict[str, MetricFacts], opponent: str, decided_by: tuple[str, ...]) -> list[list[Any]]:
        runs = [
            replace(run, cases={key: replace(case, decided_by=decided_by) for key, case in run.cases.items()})
            for run in (first, replace(first, facts=facts, opponent_name=opponent))
        ]
        found = payloads.cases_payload(replace(data, runs=tuple(runs)), 2_000)["cases"]
        assert all(len(shown[0]) == 3 for *_, shown in found)
        told: list[list[list[Any]]] = [shown[1][3:] for *_, shown in found]
        assert all(each == told[0] for each in told)
        return told[0]

    alike, other = {"llm-rubric": OF_A, "equals": PLAIN}, {"llm-rubric": OF_B, "equals": PLAIN}
    assert marks(alike, "a", ("llm-rubric", "pairwise")) == []
    assert marks(other, "a", ("llm-rubric", "pairwise")) == [["llm-rubric"]]
    assert marks(other, "b", ("equals", "pairwise")) == [["pairwise"]]
    assert marks(other, "b", ("equals",)) == []


def test_a_base_that_answers_anew_in_each_session_is_one_opponent(
    invented: Callable[..., GateRecord], source: SiteSource
) -> None:
    """Each outcome of two nights' gates against one base was marked; two runs are still compared by their answers."""
    data, record = source.gather(), invented(orders=24, probes=12, lost=1)
    assert record.baseline is not None
    assert record.comparison is not None
    model, line = record.baseline.model, data.runs[-1].line

    def night(run_id: str, baseline: ModelRef | None) -> RunDigest:
        assert record.comparison is not None
        comparison = replace(record.comparison, baseline_run=run_id)
        return digest_of(line, replace(record, comparison=comparison), {}, baseline)

    first, second, other, unknown = (
        night("a", model),
        night("b", model),
        night("b", replace(model, adapter_sha256="5" * 64)),
        night("b", None),
    )
    assert first.opponent_name == second.opponent_name != other.opponent_name
    assert (first.opponent, second.opponent, unknown.opponent_name) == ("a", "b", "b")


def test_the_page_knows_which_groups_ask_for_pairs(
    invented: Callable[..., GateRecord], source: SiteSource
) -> None:
    data, record = source.gather(), invented(orders=24, probes=12, lost=1)
    group = Check(type="any-of", checks=(Check(type="equals"), Check(type="pairwise")), threshold=0.5)
    alone = Check(type="all-of", checks=(Check(type="equals"),))
    first, *rest = record.run.results
    asked = replace(first, case=replace(first.case, checks=(group, alone, Check(type="pairwise"))))
    run = digest_of(data.runs[-1].line, replace(record, run=replace(record.run, results=(asked, *rest))), {})
    assert run.groups_of_pairs == {("orders", "any-of")}
    found = payloads.compare_payload(replace(data, runs=(*data.runs, run)))
    assert found["groups"] == [("orders", "any-of")]
