"""Results of promptfoo: the JSON file of ``promptfoo eval -o results.json``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.history.logs.run_log import SHARE, LogAnswer, LogCase, LogRow, RunLog, gathered, set_name_of
from harness.history.logs.values import changed_at, entry, number_of, read_json
from harness.types import Message

_VERSION = 3
_BROKE = 2  # promptfoo's failureReason of a test that could not be run or scored
_DEFAULT_SET = "promptfoo"


def recognises(path: Path) -> bool:
    """A JSON file that begins with promptfoo's id of the evaluation."""
    if path.suffix != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        return b'"evalId"' in file.read(200)


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
    rows = entry(results, "results", list, place)
    provider, rows = _of_provider(path, rows, part)
    config, about = facts.get("config") or {}, facts.get("metadata") or {}
    prompts = list(dict.fromkeys(str(entry(row, "prompt", dict, place).get("label", "")) for row in rows))
    tests = _test_names(rows)
    set_name = set_name_of(str(config.get("description") or _DEFAULT_SET))
    seen: dict[str, int] = {}
    cases = gathered(_row(path, row, set_name, prompts, tests, seen) for row in rows)
    named = dict.fromkeys(name for case in cases for answer in case.answers for name in answer.values)
    return RunLog(
        path=path,
        tool=f"promptfoo {about.get('promptfooVersion', '')}".strip(),
        model=provider,
        started_at=str(results.get("timestamp") or changed_at(path)),
        cases=cases,
        # Its scores are weighted means of assertions between 0 and 1.
        facts=dict.fromkeys(named, SHARE),
    )


def _of_provider(
    path: Path, rows: Sequence[Mapping[str, Any]], part: str | None
) -> tuple[str, list[Mapping[str, Any]]]:
    by_provider: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        about = entry(row, "provider", dict, (path, None))
        by_provider.setdefault(str(about.get("label") or about.get("id")), []).append(row)
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


def _test_names(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """A name for each test by its content: its description if no other test has it, else its number.

    ``--repeat`` writes the same test as several: they are answers to one case.
    """
    described: dict[str, str] = {}
    for row in rows:
        described.setdefault(_content(row), str((row.get("testCase") or {}).get("description") or ""))
    texts = list(described.values())
    return {
        content: text if text and texts.count(text) == 1 else str(number)
        for number, (content, text) in enumerate(described.items())
    }


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
    broke = row.get("failureReason") == _BROKE
    output = response.get("output")
    values = {"score": row.get("score"), **(row.get("namedScores") or {})}
    success = entry(row, "success", bool, place)
    return LogAnswer(
        values={}
        if broke
        else {key: number_of(value, place, f"test {name}: {key}") for key, value in values.items()},
        passed=None if broke else success,
        text=output if isinstance(output, str) or output is None else json.dumps(output, ensure_ascii=False),
        error=str(row.get("error") or "it broke").partition("\n")[0] if broke else "",
        explanations={"passed": str(graded.get("reason") or "")},
        latency_s=number_of(row.get("latencyMs") or 0, place, "latencyMs") / 1000,
        prompt_tokens=int(tokens.get("prompt") or 0),
        completion_tokens=int(tokens.get("completion") or 0),
    )


def _messages(raw: object) -> tuple[Message, ...]:
    """The prompt: a text, or a chat written as JSON."""
    try:
        chat = json.loads(str(raw))
    except ValueError:
        chat = None
    roles = {"system", "user", "assistant", "tool"}
    if isinstance(chat, list) and chat and all(isinstance(m, dict) and m.get("role") in roles for m in chat):
        return tuple(Message(role=m["role"], content=str(m.get("content", ""))) for m in chat)
    return (Message(role="user", content=str(raw)),)
