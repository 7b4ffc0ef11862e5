"""Only what all runs answered alike is compared."""

from dataclasses import replace

import pytest

from harness.errors import BaselineError, SettingsError
from harness.studies.tournament.common_answers import common_answers, name_models
from harness.types import Check, Repeat


def test_cases_that_are_missing_changed_or_without_an_answer_are_counted(run_with):
    one = run_with("one", {"s/a": "1", "s/b": "1", "s/c": "1", "s/d": "1"})
    two = run_with("two", {"s/a": "2", "s/b": None, "s/d": "2"})
    three = run_with("three", {"s/a": "3", "s/b": "3", "s/c": "3", "s/e": "3"})
    changed = replace(one.results[3].case, checks=(Check(type="contains", value="x"),))
    three = replace(three, results=(*three.results, replace(one.results[3], case=changed)))
    common, left_out = common_answers({"one": one, "two": two, "three": three})
    assert [(each.key, dict(each.texts)) for each in common] == [
        ("s/a", {"one": "1", "two": "2", "three": "3"})
    ]
    assert left_out == {
        "an answer is not stored": 1,
        "not in every run": 2,
        "changed between the runs": 1,
    }


def test_runs_asked_with_other_values_of_the_template_are_not_compared(run_with):
    """Whichever of the runs it is; a case's own value is the same in all of them, and a log has none."""
    runs = {name: run_with(name, {"s/a": name, "s/own": name}) for name in ("one", "two", "three")}
    for place, run in enumerate(runs.values()):
        own = replace(run.results[1].case.generation, chat_template_kwargs={"enable_thinking": True})
        results = (run.results[0], replace(run.results[1], case=replace(run.results[1].case, generation=own)))
        values = {"enable_thinking": False} if place == 1 else {}
        plan = replace(run.plan, batch_tokens=0 if place == 0 else 512, chat_template_kwargs=values)
        runs[run.model.label] = replace(run, results=results, plan=plan)
    common, left_out = common_answers(runs)
    assert [one.key for one in common] == ["s/own"]
    assert left_out == {"asked with other values of the chat template": 1}
    without = {name: run for name, run in runs.items() if name != "two"}
    assert [one.key for one in common_answers(without)[0]] == ["s/a", "s/own"]


def test_each_of_several_answers_meets_its_counterpart_and_they_share_a_cluster(run_with):
    runs = {}
    for name in ("one", "two"):
        run = run_with(name, {"s/a": f"{name} last"})
        (result,) = run.results
        repeats = tuple(
            Repeat(completion=replace(result.completion, text=f"{name} {n}"), outcome=result.outcome)
            for n in range(3)
        )
        result = replace(result, case=replace(result.case, repeat=3), repeats=repeats)
        runs[name] = replace(run, results=(result,))
    common, _ = common_answers(runs)
    assert [(one.key, one.texts["one"], one.texts["two"]) for one in common] == [
        ("s/a", "one 0", "two 0"),
        ("s/a#2", "one 1", "two 1"),
        ("s/a#3", "one 2", "two 2"),
    ]
    assert {one.cluster for one in common} == {"case s/a"}


def test_forgetting_probes_are_compared_on_request_only(run_with):
    runs = {
        name: run_with(name, {"s/a": name, "general/b": name}, probes=("general",)) for name in ("one", "two")
    }
    assert [one.key for one in common_answers(runs)[0]] == ["s/a"]
    assert [one.key for one in common_answers(runs, ["general"])[0]] == ["general/b"]
    with pytest.raises(SettingsError, match=r"--set x: not in run run-one \(allowed: s, general\)"):
        common_answers(runs, ["x"])


def test_runs_without_a_common_case_are_refused(run_with):
    runs = {"one": run_with("one", {"s/a": "1"}), "two": run_with("two", {"s/b": "2"})}
    with pytest.raises(BaselineError, match=r"run-one, run-two: no case .*not in every run: 2"):
        common_answers(runs)


def test_models_of_one_label_are_told_apart_by_their_runs(run_with):
    first, second, third = (run_with(name, {"s/a": "1"}) for name in ("x", "y", "z"))
    second = replace(second, model=first.model)
    assert name_models([first, second, third]) == {
        "run-x": "x (run-x)",
        "run-y": "x (run-y)",
        "run-z": "z",
    }


def test_one_run_and_a_run_named_twice_are_refused(run_with):
    run = run_with("x", {"s/a": "1"})
    with pytest.raises(BaselineError, match="two or more"):
        name_models([run])
    with pytest.raises(BaselineError, match="run-x is named twice"):
        name_models([run, run])
