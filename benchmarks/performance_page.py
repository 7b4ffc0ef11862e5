"""The page with the figures of ``performance.py``: targets beside figures, missed ones as missed."""

from collections.abc import Mapping
from typing import Any

_HEAD = """\
# Performance

Written by `make bench` (`python -m benchmarks.performance`), which measures all ways in turns:
don't edit it. *Ours* is a whole pytest session of the gate that answers all cases with a base and a
LoRA adapter (SmolLM2-135M, float32, greedy, at most 32 new tokens), compares, stores and writes the
report; others answer the same prompts with both models, one after the other. Seconds are of wall-
clock time; CPU seconds are those of all processes. A machine that others use too makes all ways
slower, and those with several threads most.
"""
_REASONS = {
    "scale": "pytest's own share grows with the cases: see the column beside it",
    "speed": "loading both models takes the same time in all ways, and weighs most where cases are few",
    "one": "the judge's first reply waits for its connection, and its replies are stored one by one",
}


def page(found: Mapping[str, Any]) -> str:
    """The page.

    Args:
        found: The figures by part.
    """
    parts = {"speed": _speed, "scale": _scale, "judge": _judge, "start": _start}
    written = [_HEAD]
    for name, write in parts.items():
        if name in found:
            part = found[name]
            runs = "one run" if part["repeats"] == 1 else f"medians of {part['repeats']} runs"
            written.append(write(part) + f"\n*{part['machine']}; load before {part['load']}; {runs}.*\n")
    return "\n".join(written)


def _verdict(value: float, target: float, reason: str, *, least: bool = False) -> str:
    """The target, and whether it was met."""
    met = value >= target if least else value <= target
    sign = "≥" if least else "≤"
    return f"{sign} {target:g}" if met else f"{sign} {target:g}: missed – {reason}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


_NAMES = {
    "tunegate": "ours",
    "one process": "ours, `--gate-workers=1`",
    "bare loop": "a script's loop over `generate`, tuned",
    "one call": "a test with one call for each case",
    "lm-eval": "lm-eval (`hf`, batches of 16)",
    "inspect": "inspect_ai (`hf`, batches of 16)",
    "base alone": "ours, the base alone",
    "base cached": "ours, the base's answers stored",
    "unchanged": "ours, all answers stored",
}


def _speed(part: Mapping[str, Any]) -> str:
    written = ["## Answering cases\n"]
    for name, facts in part["sets"].items():
        cases, kind = name.split()
        prompts = "one system prompt before all" if kind == "shared" else "distinct prompts"
        written.append(f"### {cases} cases, {prompts}\n")
        ways = facts["ways"]
        ours = ways["tunegate"]["wall_s"]
        rows = [
            [_NAMES[way], f"{each['wall_s']:.1f}", f"{each['cpu_s']:.1f}", f"{ours / each['wall_s']:.2f}"]
            for way, each in ways.items()
        ]
        written.append(_table(["way", "seconds", "CPU seconds", "ours ÷ it"], rows))
        written.append(_table(["ratio", "measured", "target"], _ratios(int(cases), kind, ways)))
        texts = ", ".join(f"{_NAMES[way]} {same} of {of}" for way, (same, of) in facts["equal texts"].items())
        written.append(
            f"The script's loop is at its best with {facts['tuned']}. Texts as with one call each: {texts}.\n"
        )
    return "\n".join(written)


def _ratios(cases: int, kind: str, ways: Mapping[str, Any]) -> list[list[str]]:
    """The targets that compare ways."""
    seconds = {way: each["wall_s"] for way, each in ways.items()}
    ours, reason = seconds["tunegate"], _REASONS["speed"]
    wanted = [
        ("ours ÷ the tuned loop", ours, seconds.get("bare loop"), 0.5 if kind == "shared" else 0.65),
        ("ours ÷ one call a case", ours, seconds.get("one call"), 0.2 if cases < 256 else 0.1),
        ("ours ÷ lm-eval", ours, seconds.get("lm-eval"), 0.35),
        ("ours ÷ inspect_ai", ours, seconds.get("inspect"), 0.35),
        ("base and candidate ÷ two runs of one", ours, 2 * seconds["base alone"], 0.65),
        ("the base's answers stored ÷ one run", seconds["base cached"], seconds["base alone"], 1.05),
    ]
    return [
        [name, f"{value / other:.2f}", _verdict(value / other, target, reason)]
        for name, value, other, target in wanted
        if other
    ]


def _scale(part: Mapping[str, Any]) -> str:
    rows, targets = [], []
    for cases, facts in part["sizes"].items():
        ways = facts["ways"]
        plain, first, again, further = (
            ways[way] for way in ("pytest alone", "first", "unchanged", "further")
        )
        rows.append(
            [
                cases,
                *(f"{each['cpu_s']:.1f}" for each in (plain, first, again, further)),
                f"{first['peak_mb']:.0f}",
                f"{facts['history_mb']:.1f}",
                f"{facts['report_mb']:.1f}",
            ]
        )
        if cases == "1000":
            beyond = again["cpu_s"] - plain["cpu_s"]
            name = "unchanged rerun of 1 000 cases beyond pytest's own, CPU seconds"
            targets.append([name, f"{beyond:.2f}", _verdict(beyond, 1.5, _REASONS["scale"])])
        if cases == "100000":
            for name, value, target in (
                ("CPU seconds", first["cpu_s"], 100.0),
                ("peak memory, MB", first["peak_mb"], 600.0),
                ("history of a further run, MB", facts["history_mb"], 120.0),
                ("report, MB", facts["report_mb"], 10.0),
            ):
                targets.append(
                    [f"100 000 cases: {name}", f"{value:.1f}", _verdict(value, target, _REASONS["scale"])]
                )
    head = [
        "cases",
        "pytest alone, CPU s",
        "first gate",
        "the same again",
        "another model",
        "peak MB",
        "history MB",
        "report MB",
    ]
    return (
        "## Many cases\n\nMade-up answers, one check a case: collecting, scoring, gate, history and report. "
        "*pytest alone* runs as many tests of one line.\n\n"
        + _table(head, rows)
        + ("\n" + _table(["goal", "measured", "target"], targets) if targets else "")
    )


def _judge(part: Mapping[str, Any]) -> str:
    target = _verdict(part["share"], 0.85, _REASONS["one"], least=True)
    return "## Judging\n\n100 cases on two sides by a judge that takes 50 ms, 8 at a time.\n\n" + _table(
        ["ideal seconds", "measured", "share", "target"],
        [[f"{part['ideal_s']:.2f}", f"{part['judging_s']:.2f}", f"{part['share']:.2f}", target]],
    )


def _start(part: Mapping[str, Any]) -> str:
    return (
        "## Starting\n\nProcessor time, by `benchmarks/start_up.py`.\n\n```\n"
        + "\n".join(part["said"])
        + "\n```\n"
    )
