"""The page with the figures of ``performance.py``: targets beside figures, missed ones as missed."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

# What was measured of each row: figures by name, of each run; or why it failed.
_Rows: TypeAlias = Mapping[str, Mapping[str, Any]]

_HEAD = """\
# Performance

Written by `make bench` (`python -m benchmarks.performance`), which measures all ways in turns:
don't edit it. *Ours* is a whole pytest session of the gate that answers all cases with a base and a
LoRA adapter (SmolLM2-135M, float32, greedy, at most 32 new tokens), compares, stores and writes the
report; others answer the same prompts with both models, one after the other. Seconds are of wall-clock
time; CPU seconds are those of all processes; each figure is the median of its runs; *> 400* was ended
after 400 seconds. A machine that others use too makes all ways slower, and those with several threads
most. Where only our code has changed, the figures of other programs on the same machine are kept.
"""
_PRODUCTS = (
    "all ways compute the same matrix products in float32 on all cores, which take most of the time (last "
    "table), and what loads the models takes the same time in all"
)
_FEW = "loading both models takes the same time in all ways, and weighs most where cases are few"
_SIDES = "each side computes its own matrix products; what is shared is loading, and what prompts share"
_ADAPTER = "a LoRA adapter adds products of its own to those of each layer, which the base alone has not"
_SECONDS = "seconds depend on the machine: see what as many tests of one line take here"
_REPLIES = "one process writes all questions and reads all replies, beside the gate's own work"


def page(found: Mapping[str, Any]) -> str:
    """The page.

    Args:
        found: The figures by part.
    """
    parts = {
        "start": _start,
        "judge": _judging,
        "scale": _scale,
        "speed": _speed,
        "served": _served,
        "training": _training,
        "workers": _workers,
        "profile": _profile,
    }
    written = [_HEAD]
    for name, write in parts.items():
        if found.get(name, {}).get("rows"):
            part = found[name]
            rows = part["rows"]
            text = "\n\n".join(block.strip() for block in write(rows))
            written.append(f"{text}\n{_failures(rows)}\n*{_measured(part)}*\n")
    return "\n".join(written)


def _measured(part: Mapping[str, Any]) -> str:
    """Where, how often and beside what a part was measured."""
    runs = [each["runs"] for each in part["rows"].values() if each.get("runs")]
    loads = [figures["load"] for each in runs for figures in each]
    if not runs:
        return part["machine"] + "."
    least, most = min(map(len, runs)), max(map(len, runs))
    times = "one run" if most == 1 else f"{most} runs" if least == most else f"{least} to {most} runs"
    versions = dict.fromkeys(
        version for each in part["rows"].values() for version in each.get("versions", ())
    )
    of = f"; our code at {', '.join(versions)}" if versions else ""
    return f"{part['machine']}; load before {min(loads):.1f} to {max(loads):.1f}; {times} of each row{of}."


def _failures(rows: _Rows) -> str:
    """The rows that could not be measured, and why."""
    failed = [f"- {name}: {each['failed']}" for name, each in rows.items() if each.get("failed")]
    return "\nNot measured:\n\n" + "\n".join(failed) + "\n" if failed else ""


def _value(rows: _Rows, row: str, name: str = "wall_s") -> float | None:
    """The median of a row's figure; None if it was never measured."""
    found = [figures[name] for figures in rows.get(row, {}).get("runs", ()) if name in figures]
    return statistics.median(found) if found else None


def _cell(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _target(
    name: str, value: float | None, target: float, reason: str, *, least: bool = False, below: bool = False
) -> list[str]:
    """A row of targets: the name, the figure, and whether it meets the target.

    Args:
        name: What is aimed at.
        value: The figure; None if it was not measured.
        target: The largest or least good value.
        reason: Why it was missed, if it was.
        least: Whether larger values are better.
        below: Whether all that is known is that the figure is below ``value``.
    """
    sign = "≥" if least else "≤"
    if value is None:
        return [name, "–", f"{sign} {target:g}: not measured"]
    if below:
        known = "" if value <= target else ": not known"
        return [name, f"< {value:.2f}", f"{sign} {target:g}{known}"]
    # What is shown decides: 0.654 is shown, and counts, as 0.65.
    shown = round(value, 2)
    met = shown >= target if least else shown <= target
    return [name, f"{value:.2f}", f"{sign} {target:g}" if met else f"{sign} {target:g}: missed – {reason}"]


def _ratio(value: float | None, other: float | None) -> float | None:
    return None if value is None or not other else value / other


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


_NAMES = {
    "tunegate": "ours",
    "one process": "ours, `--gate-workers=1`",
    "bare loop": "a script's loop over `generate`, tuned",
    "one call": "a test with one call for each case",
    "lm-eval": "lm-eval (`hf`, batches of 16)",
    "inspect": "inspect_ai (`hf`, batches of 16)",
    "tunegate busy": "ours, another process busy on one core",
    "bare loop busy": "the script's loop, another process busy on one core",
    "base alone": "ours, the base alone",
    "base cached": "ours, the base's answers stored",
    "unchanged": "ours, all answers stored",
    "rescored": "ours, all answers stored, another check",
    "pytest alone": "as many tests of one line",
}


def _speed(rows: _Rows) -> Iterator[str]:
    yield "## Answering cases"
    for name in dict.fromkeys(row.partition("/")[0] for row in rows):
        cases, kind = name.split()
        prompts = "one system prompt before all" if kind == "shared" else "distinct prompts"
        yield f"### {cases} cases, {prompts}"
        lines = [
            _way(rows, name, way, said)
            for way, said in _NAMES.items()
            if _value(rows, f"{name}/{way}") is not None
        ]
        yield _table(["way", "seconds", "CPU seconds", "peak MB of a process", "ours ÷ it", "runs"], lines)
        yield _table(["goal", "measured", "target"], _ratios(int(cases), kind, rows, name))
        if texts := _texts(rows, name):
            yield texts
    yield _tuned(rows)


def _way(rows: _Rows, name: str, way: str, said: str) -> list[str]:
    """What a way took, beside ours in the same conditions: with a core busy, beside ours with a core busy."""
    row, ours = f"{name}/{way}", f"{name}/tunegate{' busy' if way.endswith(' busy') else ''}"
    took = _value(rows, row)
    more, less = ("> ", "< ") if _unfinished(rows, row) else ("", "")
    # Of a run of ours that was ended nothing follows.
    ratio = None if _unfinished(rows, ours) else _ratio(_value(rows, ours), took)
    return [
        said,
        more + _cell(took),
        _cell(_value(rows, row, "cpu_s")),
        _cell(_value(rows, row, "peak_mb"), 0),
        (less if ratio is not None else "") + _cell(ratio, 2),
        str(len(rows[row]["runs"])),
    ]


def _unfinished(rows: _Rows, row: str) -> bool:
    """Whether the median run was ended before it had finished: what it took is a lower bound."""
    runs = rows.get(row, {}).get("runs", ())
    ended = sum("unfinished" in figures for figures in runs)
    return ended > 0 and 2 * ended >= len(runs)


def _texts(rows: _Rows, name: str) -> str:
    """How many texts are those of one call each."""
    said = []
    for way in ("tunegate", "one process"):
        equal, of = (_value(rows, f"{name}/equal/{way}", each) for each in ("equal", "of"))
        if equal is not None and of is not None:
            said.append(f"{_NAMES[way]} {equal:.0f} of {of:.0f}")
    return f"Texts as with one call each: {', '.join(said)}." if said else ""


def _tuned(rows: _Rows) -> str:
    """How long the script's loop took with each setting, on the smallest set."""
    lines = []
    for row in rows:
        name, _, setting = row.partition("/tuning/")
        if setting and (took := _value(rows, row)) is not None:
            batch, _, threads = setting.partition(" ")
            lines.append([name, batch, threads, f"{took:.1f}"])
    if not lines:
        return ""
    return (
        "### The script's loop\n\nTuned once, on the smallest set; the fastest setting is the one above.\n\n"
        + _table(["prompts", "rows of a batch", "threads", "seconds"], lines)
    )


def _ratios(cases: int, kind: str, rows: _Rows, name: str) -> list[list[str]]:
    """The targets that compare ways."""

    def took(way: str, figure: str = "wall_s") -> float | None:
        return _value(rows, f"{name}/{way}", figure)

    ours, alone, loop = took("tunegate"), took("base alone"), took("bare loop")
    busy = "tunegate busy"
    found = [
        _target("ours ÷ the tuned loop", _ratio(ours, loop), 0.5 if kind == "shared" else 0.65, _PRODUCTS),
        _target(
            "the same, a core busy",
            # Of a run of ours that was ended nothing follows.
            None if _unfinished(rows, f"{name}/{busy}") else _ratio(took(busy), took("bare loop busy")),
            0.35,
            _PRODUCTS,
            below=_unfinished(rows, f"{name}/bare loop busy"),
        ),
        _target("ours ÷ one call a case", _ratio(ours, took("one call")), 0.2 if cases < 256 else 0.1, _FEW),
        _target("ours ÷ lm-eval", _ratio(ours, took("lm-eval")), 0.35, _PRODUCTS),
        _target("ours ÷ inspect_ai", _ratio(ours, took("inspect")), 0.35, _PRODUCTS),
        _target("base and candidate ÷ two runs of one", _ratio(ours, alone and 2 * alone), 0.65, _SIDES),
        _target("the base's answers stored ÷ one run", _ratio(took("base cached"), alone), 1.05, _ADAPTER),
    ]
    for way in ("unchanged", "rescored"):
        whole, plain = took(way, "cpu_s"), took("pytest alone", "cpu_s")
        beyond = None if whole is None or plain is None else whole - plain
        found.append(_target(f"{way}: CPU seconds beyond pytest's own", beyond, 1.5, _SECONDS))
    return found


def _scale(rows: _Rows) -> Iterator[str]:
    lines, targets = [], []
    ways = ("pytest alone", "first", "unchanged", "rescored", "further")
    for cases in dict.fromkeys(row.partition(" ")[0] for row in rows):

        def figure(way: str, name: str = "cpu_s", cases: str = cases) -> float | None:
            return _value(rows, f"{cases} {way}", name)

        history, report = figure("further", "history_mb"), figure("further", "report_mb")
        lines.append(
            [
                cases,
                *(_cell(figure(way)) for way in ways),
                _cell(figure("pytest alone", "peak_mb"), 0),
                _cell(figure("first", "peak_mb"), 0),
                _cell(history),
                _cell(report),
            ]
        )
        if cases == "1000":
            for way in ("unchanged", "rescored"):
                whole, plain = figure(way), figure("pytest alone")
                beyond = None if whole is None or plain is None else whole - plain
                name = f"1 000 cases {way}: CPU seconds beyond pytest's own"
                targets.append(_target(name, beyond, 1.5, _SECONDS))
        if cases == "100000":
            for name, value, plain, target in (
                ("CPU seconds", figure("first"), figure("pytest alone"), 100.0),
                ("peak memory, MB", figure("first", "peak_mb"), figure("pytest alone", "peak_mb"), 600.0),
                ("history of a further run, MB", history, None, 120.0),
                ("report, MB", report, None, 10.0),
            ):
                reason = f"pytest alone takes {_cell(plain, 0)}; the rest grows with the cases too"
                targets.append(_target(f"100 000 cases: {name}", value, target, reason))
    yield (
        "## Many cases\n\nMade-up answers, one check a case: collecting, scoring, gate, history and "
        "report, in CPU seconds. *pytest alone* runs as many tests of one line; history is what the last "
        "gate added."
    )
    head = ["cases", "pytest alone", "first gate", "the same again", "another check", "another model"]
    yield _table([*head, "pytest's peak MB", "first gate's", "history MB", "report MB"], lines)
    if targets:
        yield _table(["goal", "measured", "target"], targets)


def _judging(rows: _Rows) -> Iterator[str]:
    yield (
        "## Judging\n\n100 cases on two sides by a judge that takes 50 ms, 8 at a time: a rubric, and "
        "ragas' four metrics of passages. The ideal is the questions' number times 50 ms, over 8; measured "
        "is the time between the first question and the last reply, as the judge sees it. The model answers "
        "after 20 s, in which the gate imports what judging needs. *Bare* is the share that sockets alone "
        "reach, which do nothing else."
    )
    lines = []
    for row, said, target in (("rubric", "a rubric", 0.85), ("passages", "four metrics of passages", 0.8)):
        if row not in rows:
            continue
        share = _target(said, _value(rows, row, "share"), target, _REPLIES, least=True)
        figures = (_cell(_value(rows, row, name), 2) for name in ("ideal_s", "judging_s"))
        further = (_cell(_value(rows, row, "bare_share"), 2), _cell(_value(rows, row, "cpu_s")))
        lines.append([said, _cell(_value(rows, row, "asked"), 0), *figures, *share[1:], *further])
    head = ["judged", "questions", "ideal seconds", "measured", "share", "target", "bare", "CPU seconds"]
    yield _table(head, lines)


def _start(rows: _Rows) -> Iterator[str]:
    yield "## Starting\n\nCPU seconds, by `benchmarks/start_up.py`."
    lines = []
    for row in rows:
        if row == "all":
            continue
        took, limit = _value(rows, row, "cpu_s"), _value(rows, row, "limit")
        missed = took is not None and limit is not None and took > limit
        said = (
            ""
            if limit is None
            else f"≤ {limit:g}"
            + (": missed – seconds depend on the machine: see the first row" if missed else "")
        )
        lines.append([f"`{row}`" if row.startswith("tunegate") else row, _cell(took, 3), said])
    yield _table(["what", "CPU seconds", "target"], lines)


def _served(rows: _Rows) -> Iterator[str]:
    yield (
        "## Behind our server\n\n`tunegate serve` with base and adapter answers the distinct prompts "
        "for both models; 16 questions are under way together. Texts are compared with those of our gate "
        "without a server. The server's own processor time is not counted."
    )
    said = {
        "here": "our gate without a server",
        "client": "OpenAI's client",
        "gate": "our gate, `--model=openai:…`",
        "lm-eval": "lm-eval, `local-chat-completions`",
        "lm-eval completions": "lm-eval, `local-completions` with the template",
        "inspect": "inspect_ai, `openai-api`",
        "promptfoo": "promptfoo, `openai:chat`",
    }
    lines = []
    for row in rows:
        cases, way = row.split(" ", 1)
        equal, of = (_value(rows, row, name) for name in ("equal", "of"))
        texts = "–" if equal is None or of is None else f"{equal:.0f} of {of:.0f}"
        if (same := _value(rows, row, "same_verdict")) is not None:
            texts += ", the same verdict" if same == 1 else ", **another verdict**"
        figures = [_cell(_value(rows, row)), _cell(_value(rows, row, "cpu_s"))]
        lines.append([said[way], cases, *figures, texts])
    yield _table(["asked by", "cases", "seconds", "its CPU seconds", "equal texts"], lines)


def _training(rows: _Rows) -> Iterator[str]:
    yield (
        "## Training\n\nQLoRA of SmolLM2 by our SFT and by a bare TRL script with the same steps, from the "
        "process's start to the written adapter. Ours also looks for golden cases in the data, hashes and "
        "writes the manifest."
    )
    lines = []
    for steps in dict.fromkeys(row.split()[0] for row in rows):
        bare, ours = (_value(rows, f"{steps} {way}") for way in ("bare", "ours"))
        ratio = _target("", _ratio(ours, bare), 1.05, "fixed work of seconds weighs most where steps are few")
        lines.append([steps, _cell(bare), _cell(ours), *ratio[1:]])
    yield _table(["steps", "bare script, seconds", "ours", "ratio", "target"], lines)


def _workers(rows: _Rows) -> Iterator[str]:
    yield (
        "## Workers of a Ray cluster\n\nBatches that take 0.05 to 0.45 s, asleep, dealt to the workers of "
        "two nodes on one machine: their times in sum ÷ (workers × the time that passed)."
    )
    lines = []
    for row in rows:
        reason = "the last batches leave workers idle"
        lines.append(_target(row, _value(rows, row, "efficiency"), 0.9, reason, least=True))
    yield _table(["workers", "efficiency", "target"], lines)


def _profile(rows: _Rows) -> Iterator[str]:
    yield "## Where the time goes"
    for part, what in (
        ("phase", "cases on both sides, one process and one thread, nothing stored"),
        ("engine", "of these cases, the engine alone by torch's profiler, which slows it down"),
    ):
        found = {row: _value(rows, row, "s") for row in rows if f" {part}/" in row}
        whole = sum(seconds or 0.0 for seconds in found.values())
        if whole:
            cases = next(iter(found)).split()[0]
            lines = [
                [row.partition("/")[2], _cell(each), f"{(each or 0.0) / whole:.0%}"]
                for row, each in found.items()
            ]
            yield f"{cases} {what}:\n\n" + _table([part, "seconds", "share"], lines)
