"""What a reader copies is a command: each is parsed as its own program parses it."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from harness.cli.main import app
from harness.types import GateRecord, GateVerdict, MetricFinding, ServerUse
from reports.earlier_runs import EarlierRuns
from reports.html import commands
from reports.html.next_step import _CALIBRATE, next_step
from tests.reports.html.small_gate import small_record

Invented = Callable[..., GateRecord]
ROOT = Path(__file__).parents[3]


def parsed(command: str) -> dict[str, Any]:
    """The parameters of a command of ours, by name; fails on what the command does not know."""
    program, *words = shlex.split(command)
    assert program == "tunegate"
    node = typer.main.get_command(app)
    while hasattr(node, "list_commands"):
        name, *words = words
        found = node.get_command(None, name)
        node = getattr(found, "command", None) or found
    return node.make_context(command, words).params


def logged(record: GateRecord) -> GateRecord:
    """The record, if both sides were read from another tool's log."""
    assert record.baseline is not None
    run, baseline = (
        replace(run, model=replace(run.model, base_sha256="")) for run in (record.run, record.baseline)
    )
    return replace(record, run=run, baseline=baseline)


def all_commands(record: GateRecord) -> list[str]:
    again = commands.rerun_command(record)
    case = record.run.results[0].case
    found = [
        again,
        commands.case_command(record, case, "golden_sets/orders.yaml", again),
        commands.case_command(record, case, "/elsewhere/orders.yaml", again),
        *commands.show_command(record, "tunegate runs recover").split(" && "),
        commands.show_command(record, None, " --directory '/a b/c'"),
        commands.accept_command(record, " --directory '/a b/c'"),
        commands.against_command(record, "main"),
        commands.new_case_command(record, "orders", None),
        commands.noise_command(record, None),
        commands.noise_command(
            record, None, " --golden=a.yaml --base=/base --model-id=r1 --directory a --history b.sqlite"
        ),
        _CALIBRATE,
    ]
    return [each for each in found if each]


@pytest.mark.parametrize("of_a_log", [False, True])
def test_every_command_is_one_that_its_program_knows(invented: Invented, *, of_a_log: bool) -> None:
    record = invented(lost=1)
    found = all_commands(logged(record) if of_a_log else record)
    ours = [each for each in found if not each.startswith("pytest ")]
    assert len(ours) >= 6
    for command in ours:
        parsed(command)
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    for command in set(found) - set(ours):
        options = [word.partition("=")[0] for word in shlex.split(command) if word.startswith("--")]
        assert [each for each in options if f"`{each}`" not in reference] == []


@pytest.mark.parametrize(
    ("dtype", "given"), [("bfloat16", ["bfloat16"]), ("float32", ["float32"]), ("unknown", [])]
)
def test_the_noise_of_the_baseline_is_recorded_where_the_gate_looks_for_it(
    invented: Invented, dtype: str, given: list[str]
) -> None:
    """A record is found by the precision, and the command's own default may be another one."""
    record = invented(lost=1)
    assert record.baseline is not None
    plan = replace(record.baseline.plan, dtype=dtype)
    found = parsed(
        commands.noise_command(replace(record, baseline=replace(record.baseline, plan=plan)), None)
    )
    assert (found["model"], list(found["dtype"] or ())) == ("smollm2", given)


def test_a_baseline_s_adapter_is_named_as_in_the_project_s_root(invented: Invented) -> None:
    record = invented(lost=1)
    command = commands.noise_command(replace(record, baseline=record.run), Path("/home/ada/project"))
    assert command == "tunegate noise --model=adapters/orders --dtype=float32"


def test_the_noise_is_recorded_of_the_cases_and_in_the_history_that_the_next_gate_reads(
    invented: Invented,
) -> None:
    """The record went to .tunegate, and a gate that keeps its runs elsewhere gave the same advice again."""
    record = small_record(invented, GateVerdict.INCONCLUSIVE)
    assert record.verdict is not None
    first = record.verdict.findings[0]
    assert isinstance(first.data, MetricFinding)
    data = replace(first.data, population="cases", unsteady="computed in bfloat16")
    verdict = replace(record.verdict, findings=(replace(first, data=data),))
    earlier = EarlierRuns(place=" --directory /ci/kept", asking=" --golden=sets --base=/base")
    found = next_step(replace(record, verdict=verdict), earlier).command
    assert (
        found
        == "tunegate noise --model=smollm2 --dtype=float32 --golden=sets --base=/base --directory /ci/kept"
    )


def test_a_copied_command_asks_what_this_gate_s_command_line_asked(invented: Invented) -> None:
    """Without them it loaded the model here, and gated it against its base, on other sets."""
    record = invented(lost=1)
    gating = ("--gate-engine=vllm", "--gate-baseline=shipped", "--gate-golden='my sets'")
    again = commands.rerun_command(record, EarlierRuns(gating=gating))
    assert again == f"pytest --model=adapters/orders {' '.join(gating)}"
    case = record.run.results[0].case
    alone = commands.case_command(record, case, "golden_sets/orders.yaml", again)
    assert shlex.split(alone) == [
        "pytest",
        f"golden_sets/orders.yaml::{case.id}",
        *shlex.split(again)[1:],
    ]
    assert commands.against_command(record, "main", EarlierRuns(gating=gating)) == (
        "pytest --model=adapters/orders --gate-engine=vllm --gate-golden='my sets' --gate-baseline=main"
    )


@pytest.mark.parametrize(
    ("engine", "use", "options"),
    [
        (
            "vllm",
            {"url": "http://gpu:8000/v1", "identity": "r1"},
            " --gate-engine=vllm --gate-server=http://gpu:8000/v1 --gate-model-id=r1",
        ),
        (
            "vllm",
            {"arguments": "--max-model-len 4096", "identity": "vllm 0.9 --max-model-len 4096"},
            " --gate-engine=vllm --gate-server-args='--max-model-len 4096'",
        ),
        ("openai", {"identity": "r1"}, " --gate-model-id=r1"),
        ("transformers", None, ""),
    ],
)
def test_of_a_stored_run_the_record_tells_how_it_was_gated(
    invented: Invented, engine: str, use: dict[str, str] | None, options: str
) -> None:
    record = invented(lost=1)
    assert record.baseline is not None
    server = None if use is None else ServerUse(**use)
    run = replace(record.run, plan=replace(record.run.plan, engine=engine, server=server))
    again = f"pytest --model=adapters/orders{options}"
    assert commands.rerun_command(replace(record, run=run)) == again
    # The base is what an adapter is gated against by default; another run is named.
    other = replace(record, run=run, baseline=replace(record.run, id="20260101-000000-aaaa"))
    assert commands.rerun_command(other) == f"{again} --gate-baseline=20260101-000000-aaaa"
