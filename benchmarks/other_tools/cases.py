r"""The golden sets as a task of other tools: rows with a prompt and what an answer has to hold; the scorer.

It needs nothing of tunegate, so it runs in the tools' own environments; only the command that writes the
rows, ``python -m benchmarks.other_tools.cases``, reads the golden sets. Then, in this folder:

    lm_eval --model hf --model_args pretrained=BASE,dtype=float32,peft=ADAPTER --include_path . \
        --tasks general,orders --apply_chat_template --batch_size 16 --log_samples --output_path logs/mine
    inspect eval inspect_tasks.py --model hf/mine -M model_path=MERGED -M do_sample=false --log-dir logs/mine

The logs in tests/history/logs/data/smollm2 are of the demo's base, good and harmful adapter.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def passes(answer: str, checks: Iterable[tuple[str, Any]]) -> bool:
    """Whether an answer passes all checks.

    Args:
        answer: The model's text.
        checks: Pairs of a check's type and its value.
    """
    return all(_RULES[kind](answer.strip(), value) for kind, value in checks)


def _json_of(answer: str) -> Any:
    try:
        return json.loads(answer, object_pairs_hook=_without_doubled_keys)
    except ValueError:
        return None


def _without_doubled_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _fits(answer: str, schema: Mapping[str, Any]) -> bool:
    found = _json_of(answer)
    if not isinstance(found, dict) or set(found) != set(schema["required"]):
        return False
    return type(found["quantity"]) is int


_RULES: Mapping[str, Callable[[str, Any], bool]] = {
    "not-contains": lambda answer, value: value not in answer,
    "icontains": lambda answer, value: value.lower() in answer.lower(),
    "regex": lambda answer, value: re.search(value, answer) is not None,
    "is-json": _fits,
    "json-equals": lambda answer, value: _json_of(answer) == json.loads(value),
    "length": lambda answer, value: len(re.findall(r"[.!?](?=\s|$)", answer)) <= value["max"],
}


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """lm-eval's hook: the metric of one document.

    Args:
        doc: The row.
        results: The answer alone.
    """
    return {"acc": float(passes(results[0], json.loads(doc["checks"])))}


def _value(case: Any, check: Any) -> Any:
    if check.type == "json-equals":
        return case.references[0]
    if check.type == "regex" and check.options.get("ignore_case"):
        return f"(?i){check.value}"
    return dict(check.options) if check.value is None else check.value


def _write_rows() -> None:
    from harness.golden.load import load_golden_set

    for source in ("golden_sets/general/probes.yaml", "golden_sets/orders.yaml"):
        golden = load_golden_set(Path(source))
        rows = []
        for case in golden.cases:
            checks = [(check.type, _value(case, check)) for check in case.checks if check.type != "rouge-l"]
            rows.append(
                {
                    "id": case.id,
                    "prompt": case.messages[-1].content,
                    "target": case.references[0] if case.references else "",
                    "checks": json.dumps(checks),
                }
            )
        (HERE / f"{golden.name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


if __name__ == "__main__":
    _write_rows()
