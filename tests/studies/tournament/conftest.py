"""Stored runs that differ in what they answered, and a judge that prefers some answers."""

import re
from dataclasses import replace

import pytest

from harness.judge.open import open_judge
from harness.judge.panel import Panel
from harness.run.cache import Cache


@pytest.fixture
def run_with(make_result, make_run):
    """Makes a run of a model from its answers by case key; None for an answer that is not stored."""

    def build(model, answers, *, clusters=None, checks=(), **rest):
        results = []
        for key, text in answers.items():
            cluster = (clusters or {}).get(key)
            result = make_result(key, cluster=cluster, prompt=f"What of {key}?")
            completion = None if text is None else replace(result.completion, text=text)
            results.append(
                replace(result, case=replace(result.case, checks=tuple(checks)), completion=completion)
            )
        run = make_run(results, run_id=f"run-{model}", **rest)
        return replace(run, model=replace(run.model, label=model))

    return build


@pytest.fixture
def panel(judge_server):
    """A judge, or several, at the scripted server."""
    opened = []

    def open_panel(*models):
        specs = [f"openai:{model}@{judge_server.url}" for model in models or ("scripted",)]
        cache = Cache(None)
        opened.append((Panel([open_judge(spec, cache, environment={}) for spec in specs]), cache))
        return opened[-1][0]

    yield open_panel
    for one, cache in opened:
        one.close()
        cache.close()


def shown(body):
    """The two answers of a question, as they were shown."""
    first, _, second = body["messages"][1]["content"].partition("Answer A:")[2].partition("Answer B:")
    return first, second.partition("Which answer is better?")[0]


@pytest.fixture(name="shown")
def shown_fixture():
    """The function that reads both answers from a question."""
    return shown


@pytest.fixture
def by_grade(judge_server):
    """Lets the judge prefer the answer of the higher grade; equal grades are a tie."""

    def answer(body):
        first, second = (int(re.search(r"grade (\d)", text)[1]) for text in shown(body))
        return {"reason": "r", "winner": "tie" if first == second else "A" if first > second else "B"}

    judge_server.answer = answer
