"""Logs of lm-eval: ``results_*.json``, and the ``samples_*.jsonl`` of ``--log_samples`` beside it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.history.logs.log_cases import LogAnswer, LogCase, RunLog
from harness.history.logs.run_log import SHARE, LogRow, gathered, set_name_of
from harness.history.logs.values import changed_at, entry, iso_of, number_of, read_json, read_json_lines
from harness.types import Message, MetricFacts

_SAMPLES = re.compile(r"samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl(?:\.gz)?")
_RESULTS = re.compile(r"results_(?P<time>\d{4}-\d\d-\d\dT[\d.:-]+)\.json")
# Metrics of lm-eval that are between 0 and 1, the more the better.
_SHARES = {
    *(
        "acc",
        "acc_norm",
        "acc_bytes",
        "acc_mutual_info",
        "acc_all",
        "exact_match",
        "em",
        "f1",
        "quasi_exact_match",
    ),
    *(
        "quasi_exact_match",
        "contains",
        "prompt_level_strict_acc",
        "prompt_level_loose_acc",
        "pass@1",
        "pass_at_1",
        "mc1",
        "mc2",
    ),
}
_NO_FILTER = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Results:
    """What the results file says; empty for samples without one."""

    path: Path
    facts: Mapping[str, Any] = field(default_factory=dict)

    def of_task(self, key: str, task: str) -> Any:
        return (self.facts.get(key) or {}).get(task)


def recognises(path: Path) -> bool:
    """A results file, a samples file, or a directory with them."""
    if path.is_dir():
        return any(_RESULTS.fullmatch(each.name) for each in path.rglob("results_*.json"))
    return bool(_SAMPLES.fullmatch(path.name) or _RESULTS.fullmatch(path.name))


def read(path: Path) -> RunLog:
    """Read one run.

    Raises:
        DataError: There is no run or several, or a file is cut, damaged or of a version that is not read.
    """
    results_path, samples = _files(path)
    results = _read_results(results_path) if results_path is not None else _Results(path=path)
    facts: dict[str, MetricFacts] = {}
    deciding: dict[str, str] = {}
    cases: list[LogCase] = []
    notes: list[str] = []
    for task, file in samples.items():
        found = _task_cases(task, file, results)
        cases += found
        names = dict.fromkeys(name for case in found for name in case.answers[0].values)
        for name in names:
            if (known := _facts(task, name, found, results)) is not None:
                facts[name] = known
        usable = [name for name in names if name in facts] or list(names)
        if not usable:
            raise DataError(
                file, None, f"{task}: no metric has a value for each document; only a mean of all"
            )
        deciding[set_name_of(task)] = usable[0]
        if others := [name for name in names if name != usable[0]]:
            notes.append(f"{task}: {usable[0]} decides (--metric chooses: {', '.join(others)})")
    config = results.facts.get("config") or {}
    date = results.facts.get("date")
    return RunLog(
        path=path,
        tool=f"lm-eval {results.facts.get('lm_eval_version', '')}".strip(),
        model=str(results.facts.get("model_name") or config.get("model") or path.stem),
        started_at=iso_of(date)
        if isinstance(date, int | float)
        else changed_at(next(iter(samples.values()))),
        duration_s=_seconds(results.facts.get("total_evaluation_time_seconds")),
        cases=tuple(cases),
        facts=facts,
        deciding=deciding,
        dtype=str(config.get("model_dtype") or "unknown").removeprefix("torch."),
        device=str(config.get("device") or "unknown"),
        notes=tuple(notes),
    )


def _files(path: Path) -> tuple[Path | None, dict[str, Path]]:
    """The results file, if there is one, and the samples file of each task."""
    if (match := _SAMPLES.fullmatch(path.name)) is not None:
        results = path.with_name(f"results_{match['time']}.json")
        return results if results.is_file() else None, {match["task"]: path}
    if path.is_dir():
        found = sorted(each for each in path.rglob("results_*.json") if _RESULTS.fullmatch(each.name))
        if len(found) > 1:
            names = ", ".join(str(each.relative_to(path)) for each in found[:4])
            raise DataError(path, None, f"{len(found)} runs are in it: name one ({names})")
        path = found[0]
    match = _RESULTS.fullmatch(path.name)
    time = match["time"] if match is not None else ""
    samples = {
        of_task["task"]: each
        for each in sorted(path.parent.glob("samples_*.jsonl*"))
        if (of_task := _SAMPLES.fullmatch(each.name)) is not None and of_task["time"] == time
    }
    if not samples:
        raise DataError(path, None, "no samples are beside it: run lm-eval with --log_samples")
    return path, samples


def _read_results(path: Path) -> _Results:
    facts = read_json(path)
    entry(facts, "results", dict, (path, None))
    return _Results(path=path, facts=facts)


def _task_cases(task: str, path: Path, results: _Results) -> list[LogCase]:
    """The documents of one task: the rows of its filters together."""
    by_filter: dict[str, list[LogRow]] = {}
    for line, facts in read_json_lines(path):
        name = str(facts.get("filter", _NO_FILTER))
        by_filter.setdefault(name, []).append(_row(task, name, (path, line), facts, results))
    cases: dict[str, LogCase] = {}
    for rows in by_filter.values():
        for case in gathered(rows):
            earlier = cases.get(case.key)
            cases[case.key] = case if earlier is None else _with_values(earlier, case)
    expected = (results.of_task("n-samples", task) or {}).get("effective")
    if isinstance(expected, int) and expected != len(cases):
        raise DataError(
            path,
            None,
            f"{len(cases)} of {expected} documents are in it: cut off, or of another run; log again",
        )
    return list(cases.values())


def _with_values(case: LogCase, other: LogCase) -> LogCase:
    """A case with the values of a further filter."""
    (ours,), (theirs,) = case.answers, other.answers
    answer = replace(
        ours,
        values={**ours.values, **theirs.values},
        explanations={**ours.explanations, **theirs.explanations},
    )
    return replace(case, answers=(answer,))


def _row(
    task: str, filter_name: str, place: tuple[Path, int], facts: Mapping[str, Any], results: _Results
) -> LogRow:
    document = entry(facts, "doc_id", (int, str), place)
    suffix = "" if filter_name == _NO_FILTER else f",{filter_name}"
    values = {
        f"{name}{suffix}": number_of(facts[name], place, name)
        for name in _metric_names(task, facts, results)
        # Of a corpus metric such as BLEU a row has only the texts.
        if isinstance(facts.get(name), bool | int | float)
    }
    prompt, text, target = _texts(facts)
    filtered = facts.get("filtered_resps")
    told = f"extracted {filtered[0]!r}" if filtered and isinstance(filtered[0], str) else ""
    version = results.of_task("versions", task)
    hashes = [str(facts.get(key, "")) for key in ("doc_hash", "target_hash")]
    case = LogCase(
        set_name=set_name_of(task),
        id=str(document),
        messages=(Message(role="user", content=prompt),) if prompt is not None else (),
        references=(target,) if target is not None else (),
        identity=" ".join(["lm-eval", *([] if version is None else [str(version)]), *hashes]).strip(),
        answers=(
            LogAnswer(
                values=values,
                text=text,
                explanations=dict.fromkeys(values, told) if told and suffix else {},
                line=place[1],
            ),
        ),
    )
    return LogRow(case=case, repeat=None, place=place)


def _metric_names(task: str, facts: Mapping[str, Any], results: _Results) -> Iterator[str]:
    """Names of a row's metrics; earlier versions list them in the results only."""
    listed = facts.get("metrics")
    if isinstance(listed, list):
        yield from map(str, listed)
    else:
        known = {*_SHARES, *(results.of_task("higher_is_better", task) or {})}
        yield from (name for name in facts if name in known)


def _texts(facts: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """The prompt, the generated text or the likeliest choice, and the expected one."""
    arguments = facts.get("arguments")
    asked = list(arguments.values()) if isinstance(arguments, dict) else arguments or []
    # Earlier versions wrote lists in place of mappings.
    pairs = [list(each.values()) if isinstance(each, dict) else each for each in asked]
    prompt = str(pairs[0][0]) if pairs and pairs[0] else None
    target = None if facts.get("target") is None else str(facts["target"])
    responses = facts.get("resps") or []
    try:
        first = responses[0][0]
        if isinstance(first, str):
            return prompt, first, target
        likelihoods = [float(each[0][0]) for each in responses]
        choices = [str(pair[1]).strip() for pair in pairs]
        answer = choices[max(range(len(likelihoods)), key=likelihoods.__getitem__)]
        # The target of a choice is its number.
        is_number = target is not None and target.isdecimal() and int(target) < len(choices)
        return prompt, answer, choices[int(target or 0)] if is_number else target
    except (IndexError, TypeError, ValueError, KeyError):
        return prompt, None, target


def _facts(task: str, name: str, cases: list[LogCase], results: _Results) -> MetricFacts | None:
    """Direction and scale of a metric; None if the log leaves one unknown."""
    plain = name.partition(",")[0]
    higher = (results.of_task("higher_is_better", task) or {}).get(plain)
    values = [answer.values[name] for case in cases for answer in case.answers if name in answer.values]
    is_share = plain in _SHARES or (higher is not None and all(value in {0.0, 1.0} for value in values))
    if not is_share:
        return None
    return replace(SHARE, higher_is_better=higher is not False)


def _seconds(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0
