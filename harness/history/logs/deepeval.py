"""Test runs of deepeval: the JSON file that it writes into ``DEEPEVAL_RESULTS_FOLDER``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.history.logs.log_cases import LogAnswer, LogCase, RunLog
from harness.history.logs.run_log import SHARE, LogRow, each_row, gathered, named_by_content
from harness.history.logs.values import (
    changed_at,
    count_of,
    entry,
    head_of,
    number_of,
    objects_of,
    plain_suffix,
    read_json,
)
from harness.types import Message, MetricFacts

_SET = "deepeval"


def recognises(path: Path) -> bool:
    """A JSON file that begins with deepeval's list of test cases."""
    return plain_suffix(path) == ".json" and '"testCases"' in head_of(path, 200)


def read(path: Path) -> RunLog:
    """Read one test run.

    Raises:
        DataError: The file is cut or of another form, or two test cases have one name.
    """
    facts = read_json(path)
    place = (path, None)
    tests = objects_of(facts, "testCases", place, "test case")
    if facts.get("conversationalTestCases"):
        tests += objects_of(facts, "conversationalTestCases", place, "conversational test case")
    if not tests:
        raise DataError(path, None, "it has no test cases: run deepeval again")
    measured = [_metrics(test, place) for test in tests]
    seen: dict[str, int] = {}
    parts = zip(tests, measured, _names(tests), strict=True)
    cases = gathered(each_row(parts, path, "test case", lambda each: _row(path, seen, *each)))
    settings = facts.get("hyperparameters")
    model = settings.get("model") if isinstance(settings, dict) else None
    return RunLog(
        path=path,
        tool="deepeval",
        model=str(model or path.stem),
        started_at=changed_at(path),
        cases=cases,
        facts=dict(_facts(measured)),
    )


def _names(tests: Sequence[Mapping[str, Any]]) -> list[str]:
    """A test case's own name, or one by its content: deepeval numbers those without a name by their order."""
    own = [str(test.get("name") or "") for test in tests]
    return [
        name
        if name and own.count(name) == 1 and not name.startswith("test_case_")
        else named_by_content([_prompt(test), test.get("expectedOutput")])
        for name, test in zip(own, tests, strict=True)
    ]


def _prompt(test: Mapping[str, Any]) -> list[Any]:
    turns = test.get("turns") or []
    asked = [[turn.get("role"), turn.get("content")] for turn in turns if turn.get("role") != "assistant"]
    return asked or [["user", test.get("input")]]


def _metrics(test: Mapping[str, Any], place: tuple[Path, int | None]) -> dict[str, Mapping[str, Any]]:
    """A test case's metrics by name; a second one of a name has a number."""
    found: dict[str, Mapping[str, Any]] = {}
    for each in objects_of(test, "metricsData", place):
        name = str(entry(each, "name", str, place))
        alike = sum(other["name"] == name for other in found.values())
        found[f"{name} {alike + 1}" if alike else name] = each
    return found


def _row(
    path: Path,
    seen: dict[str, int],
    test: Mapping[str, Any],
    metrics: Mapping[str, Mapping[str, Any]],
    name: str,
) -> LogRow:
    place = (path, None)
    errors = [f"{metric}: {each['error']}" for metric, each in metrics.items() if each.get("error")]
    success = test.get("success")
    expected = test.get("expectedOutput")
    seen[name] = seen.get(name, 0) + 1
    case = LogCase(
        set_name=_SET,
        id=name,
        messages=tuple(
            Message(role="system" if role == "system" else "user", content=str(content))
            for role, content in _prompt(test)
        ),
        references=() if expected is None else (str(expected),),
        identity="deepeval "
        + ", ".join(f"{metric} {each.get('threshold')}" for metric, each in metrics.items()),
        answers=(
            LogAnswer(
                values={
                    metric: number_of(each["score"], place, f"{name}: {metric}")
                    for metric, each in metrics.items()
                    # A metric that broke may be written with a score of 0.
                    if each.get("score") is not None and not each.get("error")
                },
                passed=success if isinstance(success, bool) and not errors else None,
                text=None if test.get("actualOutput") is None else str(test["actualOutput"]),
                error=errors[0].partition("\n")[0] if errors else "",
                explanations={
                    "passed": "; ".join(
                        str(each["reason"]) for each in metrics.values() if each.get("reason")
                    )
                },
                latency_s=count_of(test.get("completionTime"), place, f"{name}: completionTime"),
            ),
        ),
    )
    return LogRow(case=case, repeat=str(seen[name]), place=place)


def _facts(tests: Sequence[Mapping[str, Mapping[str, Any]]]) -> Iterator[tuple[str, MetricFacts]]:
    """Each metric between 0 and 1, with the direction that its verdicts show, if they show one."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for metrics in tests:
        for name, each in metrics.items():
            rows.setdefault(name, []).append(each)
    for name, found in rows.items():
        told = [
            (each["success"], each["score"] >= each["threshold"], each["score"] <= each["threshold"])
            for each in found
            if all(each.get(key) is not None for key in ("score", "threshold", "success"))
        ]
        is_above = all(success == above for success, above, _ in told)
        is_below = all(success == below for success, _, below in told)
        # Without verdicts, or where each score is its threshold, both would fit.
        if is_above and not is_below:
            yield name, SHARE
        elif is_below and not is_above:
            # Of bias or toxicity less is better.
            yield name, replace(SHARE, higher_is_better=False)
