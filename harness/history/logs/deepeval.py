"""Test runs of deepeval: the JSON file that it writes into ``DEEPEVAL_RESULTS_FOLDER``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.history.logs.run_log import SHARE, LogAnswer, LogCase, LogRow, RunLog, gathered, named_by_content
from harness.history.logs.values import changed_at, entry, number_of, read_json
from harness.types import Message, MetricFacts

_SET = "deepeval"


def recognises(path: Path) -> bool:
    """A JSON file that begins with deepeval's list of test cases."""
    if path.suffix != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        return b'"testCases"' in file.read(200)


def read(path: Path) -> RunLog:
    """Read one test run.

    Raises:
        DataError: The file is cut or of another form, or two test cases have one name.
    """
    facts = read_json(path)
    tests = [*entry(facts, "testCases", list, (path, None)), *(facts.get("conversationalTestCases") or [])]
    if not tests:
        raise DataError(path, None, "it has no test cases: run deepeval again")
    seen: dict[str, int] = {}
    cases = gathered(_row(path, test, name, seen) for test, name in zip(tests, _names(tests), strict=True))
    model = (facts.get("hyperparameters") or {}).get("model")
    return RunLog(
        path=path,
        tool="deepeval",
        model=str(model or path.stem),
        started_at=changed_at(path),
        cases=cases,
        facts=dict(_facts(tests)),
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


def _row(path: Path, test: Mapping[str, Any], name: str, seen: dict[str, int]) -> LogRow:
    place = (path, None)
    metrics = entry(test, "metricsData", list, place)
    errors = [f"{each.get('name')}: {each['error']}" for each in metrics if each.get("error")]
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
        identity="deepeval " + ", ".join(f"{each.get('name')} {each.get('threshold')}" for each in metrics),
        answers=(
            LogAnswer(
                values={
                    str(entry(each, "name", str, place)): number_of(
                        each["score"], place, f"{name}: {each['name']}"
                    )
                    for each in metrics
                    if each.get("score") is not None
                },
                passed=success if isinstance(success, bool) and not errors else None,
                text=None if test.get("actualOutput") is None else str(test["actualOutput"]),
                error=errors[0].partition("\n")[0] if errors else "",
                explanations={
                    "passed": "; ".join(str(each["reason"]) for each in metrics if each.get("reason"))
                },
                latency_s=number_of(test.get("completionTime") or 0, place, "completionTime"),
            ),
        ),
    )
    return LogRow(case=case, repeat=str(seen[name]), place=place)


def _facts(tests: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, MetricFacts]]:
    """Each metric between 0 and 1, with the direction that its verdicts show."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for test in tests:
        for each in test.get("metricsData") or []:
            rows.setdefault(str(each.get("name")), []).append(each)
    for name, found in rows.items():
        told = [
            (each["success"], each["score"] >= each["threshold"], each["score"] <= each["threshold"])
            for each in found
            if each.get("score") is not None and each.get("threshold") is not None and "success" in each
        ]
        if all(success == above for success, above, _ in told):
            yield name, SHARE
        elif all(success == below for success, _, below in told):
            # Of bias or toxicity less is better.
            yield name, replace(SHARE, higher_is_better=False)
