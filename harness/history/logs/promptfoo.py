"""Results of promptfoo: the JSON file of ``promptfoo eval -o results.json``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.history.logs.log_cases import LogAnswer, LogCase, RunLog
from harness.history.logs.run_log import SHARE, LogRow, each_row, gathered, named_by_content, set_name_of
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
from harness.types import Message

_VERSION = 3
_BROKE = 2  # promptfoo's failureReason of a test that could not be run or scored
_DEFAULT_SET = "promptfoo"
_SCORE = "score"
_LONGEST_NAME = 60


def recognises(path: Path) -> bool:
    """A JSON file that begins with promptfoo's id of the evaluation."""
    return plain_suffix(path) == ".json" and '"evalId"' in head_of(path, 200)


def read(path: Path, part: str | None = None) -> RunLog:
    """Read the results of one provider.

    Args:
        path: The file.
        part: The provider's id or label, if there are several.

    Raises:
        DataError: The file is cut, its version is not read, or the provider isn't in it.
    """
    facts = read_json(path)
    place = (path, None)
    results = entry(facts, "results", dict, place)
    if (version := results.get("version")) != _VERSION:
        raise DataError(path, None, f"promptfoo results of version {version}; this tunegate reads {_VERSION}")
    rows = objects_of(results, "results", place, "result")
    provider, rows = _of_provider(path, rows, part)
    config, about = facts.get("config") or {}, facts.get("metadata") or {}
    prompts = list(dict.fromkeys(_label(path, row) for row in rows))
    _check_columns(path, provider, rows)
    tests = _test_names(rows)
    set_name = set_name_of(str(config.get("description") or _DEFAULT_SET))
    seen: dict[str, int] = {}
    cases = gathered(
        each_row(rows, path, "result", lambda row: _row(path, row, set_name, prompts, tests, seen))
    )
    values = [pair for case in cases for answer in case.answers for pair in answer.values.items()]
    # A named score may be the sum of several assertions.
    sums = {name for name, value in values if name != _SCORE and not 0 <= value <= 1}
    return RunLog(
        path=path,
        tool=f"promptfoo {about.get('promptfooVersion', '')}".strip(),
        model=provider,
        started_at=str(results.get("timestamp") or changed_at(path)),
        cases=cases,
        # Its scores are weighted means of assertions between 0 and 1.
        facts={name: SHARE for name, _ in values if name not in sums},
    )


def _of_provider(
    path: Path, rows: Sequence[Mapping[str, Any]], part: str | None
) -> tuple[str, list[Mapping[str, Any]]]:
    by_provider: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        about = entry(row, "provider", dict, (path, None))
        name = about.get("label") or about.get("id")
        by_provider.setdefault(str(name or entry(about, "id", str, (path, None))), []).append(row)
    allowed = ", ".join(by_provider)
    if not by_provider:
        raise DataError(path, None, "it has no results: run promptfoo eval again")
    if part is None and len(by_provider) > 1:
        raise DataError(
            path, None, f"{len(by_provider)} providers are in it: name one as FILE#NAME ({allowed})"
        )
    name = next(iter(by_provider)) if part is None else part
    if name not in by_provider:
        raise DataError(path, None, f"no provider {name!r} is in it (allowed: {allowed})")
    return name, by_provider[name]


def _label(path: Path, row: Mapping[str, Any]) -> str:
    return str(entry(row, "prompt", dict, (path, None)).get("label", ""))


def _check_columns(path: Path, provider: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Each prompt of a provider has one column, and each test one row in it.

    Two configurations of a provider without labels have one name, so their answers can't be distinguished.
    """
    columns: dict[str, Any] = {}
    places: dict[tuple[Any, Any], int] = {}
    for number, row in enumerate(rows, start=1):
        column, test = row.get("promptIdx"), row.get("testIdx")
        if column is None or test is None:
            continue
        if columns.setdefault(_label(path, row), column) != column:
            raise DataError(
                path,
                None,
                f"two providers are called {provider}: give each a label and run promptfoo eval again",
            )
        if (earlier := places.setdefault((column, test), number)) != number:
            raise DataError(
                path,
                None,
                f"result {number} is the same test and prompt as result {earlier}: run promptfoo eval again",
            )


def _test_names(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """A name for each test by its content, alike in every file that has it.

    It is its description or its variables, if no other test has them, else a hash. ``--repeat`` writes the
    same test as several: they are answers to one case.
    """
    told: dict[str, tuple[str, str]] = {}
    for row in rows:
        test = row.get("testCase") or {}
        told.setdefault(_content(row), (str(test.get("description") or ""), _variables(row.get("vars"))))
    found = [list(texts) for texts in zip(*told.values(), strict=True)]
    return {
        content: next(
            (text for text, others in zip(texts, found, strict=True) if text and others.count(text) == 1),
            named_by_content(content),
        )
        for content, texts in told.items()
    }


def _variables(given: object) -> str:
    """A test's variables as a name; empty if they are none, long, or of several lines."""
    text = ", ".join(f"{key}={value}" for key, value in given.items()) if isinstance(given, dict) else ""
    return text if len(text) <= _LONGEST_NAME and text.isprintable() else ""


def _content(row: Mapping[str, Any]) -> str:
    test = row.get("testCase") or {}
    return json.dumps([row.get("vars"), test.get("assert"), test.get("threshold")], sort_keys=True)


def _row(
    path: Path,
    row: Mapping[str, Any],
    set_name: str,
    prompts: Sequence[str],
    tests: Mapping[str, str],
    seen: dict[str, int],
) -> LogRow:
    content, prompt = _content(row), row["prompt"]
    test = tests[content]
    several = len(prompts) > 1
    name = f"{test}, prompt {prompts.index(str(prompt.get('label', ''))) + 1}" if several else test
    seen[name] = seen.get(name, 0) + 1
    case = LogCase(
        set_name=set_name,
        id=name,
        messages=_messages(prompt.get("raw")),
        # One test under several prompts is no further independent case.
        cluster=test if several else None,
        identity=f"promptfoo {content}",
        answers=(_answer((path, None), row, name),),
    )
    return LogRow(case=case, repeat=str(seen[name]), place=(path, None))


def _answer(place: tuple[Path, None], row: Mapping[str, Any], name: str) -> LogAnswer:
    response, graded = row.get("response") or {}, row.get("gradingResult") or {}
    tokens = response.get("tokenUsage") or {}
    # Earlier versions don't say why a test failed; what its provider or its grader met is an error in all.
    met = response.get("error") or ("no answer was graded" if row.get("gradingResult") is None else "")
    broke = row.get("failureReason") == _BROKE or bool(met and row.get("error"))
    output = response.get("output")
    values = {_SCORE: row.get("score"), **(row.get("namedScores") or {})}
    success = entry(row, "success", bool, place)
    return LogAnswer(
        values={}
        if broke
        else {key: number_of(value, place, f"test {name}: {key}") for key, value in values.items()},
        passed=None if broke else success,
        text=output if isinstance(output, str) or output is None else json.dumps(output, ensure_ascii=False),
        error=str(row.get("error") or met or "it broke").partition("\n")[0] if broke else "",
        explanations={"passed": str(graded.get("reason") or "")},
        latency_s=count_of(row.get("latencyMs"), place, f"test {name}: latencyMs") / 1000,
        prompt_tokens=int(count_of(tokens.get("prompt"), place, f"test {name}: prompt tokens")),
        completion_tokens=int(count_of(tokens.get("completion"), place, f"test {name}: completion tokens")),
    )


def _messages(raw: object) -> tuple[Message, ...]:
    """The prompt: a text, or a chat written as JSON."""
    try:
        chat = json.loads(str(raw))
    except (ValueError, RecursionError):
        chat = None
    roles = {"system", "user", "assistant", "tool"}
    if isinstance(chat, list) and chat and all(isinstance(m, dict) and m.get("role") in roles for m in chat):
        return tuple(Message(role=m["role"], content=str(m.get("content", ""))) for m in chat)
    return (Message(role="user", content=str(raw)),)
