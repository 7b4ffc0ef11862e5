"""Run directories of HELM: ``per_instance_stats.json``, ``run_spec.json`` and ``scenario_state.json``."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.history.logs.log_cases import LogAnswer, LogCase, RunLog
from harness.history.logs.run_log import SHARE, LogRow, each_row, gathered, set_name_of
from harness.history.logs.values import changed_at, count_of, number_of, objects_of, read_json
from harness.types import Message

_STATS, _SPEC, _STATE = "per_instance_stats.json", "run_spec.json", "scenario_state.json"
# Between 0 and 1, the more the better.
_SHARES = {
    *("exact_match", "quasi_exact_match", "prefix_exact_match", "quasi_prefix_exact_match", "f1_score"),
    *("final_number_exact_match", "rouge_1", "rouge_2", "rouge_l", "bleu_1", "bleu_4", "math_equiv"),
    *("math_equiv_chain_of_thought", "ifeval_strict_accuracy", "chain_of_thought_correctness", "pass"),
}
# HELM's notes on an answer, which say nothing of its quality.
_NOTES = ("num_", "training_", "finish_reason_", "inference_", "batch_size", "prompt_truncated", "max_prob")

_Key = tuple[str, str, int]


def recognises(path: Path) -> bool:
    """A run's directory, or the file of its values."""
    return path.name == _STATS or (path / _STATS).is_file()


def read(path: Path) -> RunLog:
    """Read one run.

    Raises:
        DataError: A file is missing, cut or of another form, or an instance occurs twice.
    """
    directory = path.parent if path.name == _STATS else path
    stats, spec = directory / _STATS, _json_of(directory / _SPEC)
    adapter = spec.get("adapter_spec") or {}
    states = {_key(state, directory / _STATE): state for state in _states(directory / _STATE)}
    task = _task(str(spec.get("name", directory.name)))
    rows = objects_of({"instances": read_json(stats)}, "instances", (stats, None), "instance")
    if not rows:
        raise DataError(stats, None, "it has no instances: run HELM again")
    times = Counter(_key(row, stats)[0] for row in rows)
    cases = gathered(
        each_row(
            rows,
            stats,
            "instance",
            lambda row: _row(stats, (task, times), row, states.get(_key(row, stats))),
        )
    )
    if states and len(states) != len(rows):
        raise DataError(
            stats, None, f"{len(rows)} of {len(states)} answers are in it: cut off; run HELM again"
        )
    names = dict.fromkeys(name for case in cases for answer in case.answers for name in answer.values)
    known = [name for name in names if name in _SHARES]
    deciding = next(iter([*known, *names]), "")
    others = [name for name in names if name != deciding]
    return RunLog(
        path=path,
        tool="HELM",
        model=str(adapter.get("model_deployment") or adapter.get("model") or directory.name),
        started_at=changed_at(stats),
        cases=cases,
        facts=dict.fromkeys(known, SHARE),
        deciding={set_name_of(task): deciding},
        notes=(f"{task}: {deciding} decides (--metric chooses: {', '.join(others)})",) if others else (),
    )


def _json_of(path: Path) -> Mapping[str, Any]:
    facts = read_json(path) if path.is_file() else {}
    return facts if isinstance(facts, dict) else {}


def _states(path: Path) -> Iterator[Mapping[str, Any]]:
    """The answers; without the file the values alone are compared."""
    for state in _json_of(path).get("request_states", ()):
        # Of several requests about one instance, such as one for each choice, the first has the prompt.
        if not state.get("reference_index"):
            yield state


def _key(facts: Mapping[str, Any], path: Path) -> _Key:
    about = facts.get("instance") or {}
    name = facts.get("instance_id", about.get("id"))
    if name is None:
        raise DataError(path, None, "an instance has no id: a version that is not read")
    perturbation = (facts.get("perturbation") or about.get("perturbation") or {}).get("name", "")
    return str(name), str(perturbation), int(facts.get("train_trial_index", 0))


def _task(name: str) -> str:
    """The run's name without the model, which differs between the two sides."""
    scenario, _, rest = name.partition(":")
    kept = [each for each in rest.split(",") if each and not each.startswith(("model=", "model_deployment="))]
    return ":".join([scenario, *([",".join(kept)] if kept else [])])


def _row(
    path: Path,
    of: tuple[str, Mapping[str, int]],
    facts: Mapping[str, Any],
    state: Mapping[str, Any] | None,
) -> LogRow:
    task, times = of
    place = (path, None)
    name, perturbation, trial = _key(facts, path)
    what = f"instance {name}"
    means = _means(facts, place, what)
    about, result = ((state or {}).get(key) or {} for key in ("instance", "result"))
    answers = result.get("completions") or [{}]
    prompt = ((state or {}).get("request") or {}).get("prompt")
    failed = str(result.get("error") or "the request failed") if result.get("success") is False else ""
    further = [*([perturbation] if perturbation else []), *([f"trial {trial}"] if trial else [])]
    case = LogCase(
        set_name=set_name_of(task),
        id=f"{name} ({', '.join(further)})" if further else name,
        messages=() if prompt is None else (Message(role="user", content=str(prompt)),),
        references=tuple(
            str(reference["output"]["text"])
            for reference in about.get("references", ())
            if "correct" in reference.get("tags", ())
        ),
        # An instance that is perturbed too, or has other examples before it too, is one independent case.
        cluster=name if times[name] > 1 else None,
        identity="HELM",
        answers=(
            LogAnswer(
                # HELM scores the empty answer of a request that failed.
                values={}
                if failed
                else {key: value for key, value in means.items() if not key.startswith(_NOTES)},
                text=None if failed else answers[0].get("text"),
                error=failed.partition("\n")[0],
                latency_s=count_of(means.get("inference_runtime"), place, f"{what}: inference_runtime"),
                prompt_tokens=int(count_of(means.get("num_prompt_tokens"), place, f"{what}: prompt tokens")),
                completion_tokens=int(
                    count_of(means.get("num_output_tokens"), place, f"{what}: output tokens")
                ),
            ),
        ),
    )
    return LogRow(case=case, repeat="0", place=place)


def _means(facts: Mapping[str, Any], place: tuple[Path, None], what: str) -> dict[str, float]:
    means: dict[str, float] = {}
    for stat in objects_of(facts, "stats", place):
        if not stat.get("count") or "mean" not in stat:
            continue
        name = str(stat["name"]["name"])
        value = number_of(stat["mean"], place, f"{what}: {name}")
        if means.setdefault(name, value) != value:
            raise DataError(*place, f"{what}: {name} has two values: a version that is not read")
    return means
