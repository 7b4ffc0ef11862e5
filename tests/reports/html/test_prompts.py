"""What a model was asked and what it reasoned stands folded among a case's details, once where both sides agree."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.types import CaseResult, GateRecord, Run
from reports.html.build import build_view
from reports.html.render import render_report

Unpacker = Callable[[str], tuple[dict[str, Any], list[dict[str, Any]]]]


def with_completion(run: Run, **changes: Any) -> Run:
    """The run with its first case's completion changed."""
    first, *rest = run.results
    assert first.completion is not None
    changed: CaseResult = replace(first, completion=replace(first.completion, **changes))
    return replace(run, results=(changed, *rest))


def asked(record: GateRecord, before: dict[str, Any], now: dict[str, Any]) -> GateRecord:
    assert record.baseline is not None
    return replace(
        record,
        run=with_completion(record.run, **now),
        baseline=with_completion(record.baseline, **before),
    )


def test_one_prompt_for_both_sides(invented: Callable[..., GateRecord], unpacked: Unpacker) -> None:
    prompt = {"prompt": "<|user|> <b>w1</b>", "prompt_sha256": "0123456789abcdef"}
    record = asked(invented(), prompt, prompt)
    case = build_view(record).cases.cases[0]
    assert [(each.sides, each.text.text, each.sha256) for each in case.prompts] == [
        ("", "<|user|> <b>w1</b>", "0123456789ab")
    ]
    details = unpacked(render_report(record))[1]
    assert details[0]["prompts"] == [["", "0123456789ab", "<|user|> <b>w1</b>"]]


def test_two_prompts_where_the_sides_were_asked_differently(invented: Callable[..., GateRecord]) -> None:
    record = asked(invented(), {"prompt": "a", "prompt_sha256": "1"}, {"prompt": "b", "prompt_sha256": "2"})
    case = build_view(record).cases.cases[0]
    assert [each.sides for each in case.prompts] == ["baseline", "candidate"]


def test_reasoning_keeps_equal_answers_apart(invented: Callable[..., GateRecord], unpacked: Unpacker) -> None:
    same = {"text": "Paris"}
    record = asked(invented(), {**same, "reasoning": "hm"}, {**same, "reasoning": "SECRET"})
    case = build_view(record).cases.cases[0]
    assert not case.same_answer
    assert case.candidate is not None
    assert case.candidate.reasoning is not None
    assert case.candidate.reasoning.text == "SECRET"
    details = unpacked(render_report(record))[1]
    assert details[0]["candidate"]["reasoning"] == ["SECRET"]
    assert details[0]["baseline"]["reasoning"] == ["hm"]


def test_a_run_that_is_older_than_prompts_shows_none(invented: Callable[..., GateRecord]) -> None:
    view = build_view(invented())
    assert all(case.prompts == () for case in view.cases.cases)
