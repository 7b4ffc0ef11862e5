"""``tunegate verify``: replay the evidence of a gate that ran elsewhere, and accept it."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.options import JsonOption
from harness.errors import SettingsError
from tunegate.exit_status import ExitStatus
from tunegate.printable import say
from tunegate.project import command_project, user_path
from tunegate.streams import prints_aside

if TYPE_CHECKING:
    from harness.run.verification import Verification
    from harness.types import GateRecord, GateVerdict, ModelRef, Permissions, Run

_MOST_SHOWN = 20


def verify(
    evidence: Annotated[
        list[Path],
        typer.Argument(
            help="The file that --gate-json wrote; of several models, several.", show_default=False
        ),
    ],
    root: Annotated[
        Path | None, typer.Option(help="The project with the golden sets.", show_default="the project's root")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="The adapter, or the whole model: is it what was gated, by its content?"),
    ] = None,
    allow_python: Annotated[
        bool, typer.Option("--allow-python", help="Let python checks run functions of this project.")
    ] = False,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Let code checks run the code that the model wrote.")
    ] = False,
    accept: Annotated[
        str | None, typer.Option(help="If all fits and the run did not regress, accept it under this name.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the baseline's file.")] = "",
    fail_on: Annotated[
        Literal["regress", "inconclusive"], typer.Option(help="From which verdict the exit status is 1.")
    ] = "regress",
    as_json: JsonOption = False,
) -> None:
    """Compute scores and verdict of a gate's JSON file again; exit status 1 if regressed or different."""
    from harness.baselines.accept import accept_run
    from harness.types import GateVerdict, Permissions
    from harness.types.storage import to_json

    if len(evidence) > 1 and (model is not None or accept is not None):
        raise SettingsError("--model and --accept are for one file: verify the others on their own")
    project = root or command_project(Path.cwd())
    allowed = Permissions(python=allow_python, code=allow_code)
    adapter = None if model is None else user_path(model)
    with prints_aside(as_json):
        found = [_replayed(path, project, allowed, adapter) for path in evidence]
    if as_json:
        told = [
            {"run": each.record.run.id, "intact": each.is_intact, "verification": each.verification}
            for each in found
        ]
        say(to_json(told if len(told) > 1 else told[0]))
    else:
        for each in found:
            _show(each, named=len(found) > 1)
    failing = {GateVerdict.REGRESS, *([GateVerdict.INCONCLUSIVE] if fail_on == "inconclusive" else [])}
    broke = [key for key in _must_pass(found[0].record.run) if accept is not None]
    if broke or any(_has_failed(each, failing) for each in found):
        if accept is not None and not as_json:
            say(f"not accepted as {accept}{f': {broke[0]} must pass and did not' if broke else ''}")
        raise typer.Exit(ExitStatus.FAILED)
    if accept is not None:
        record = found[0].record
        path = accept_run(record.run, accept, reason, project)
        say(f"wrote {path}: compare with it by --gate-baseline={accept}")


def _must_pass(run: "Run") -> list[str]:
    """The cases that must pass and did not."""
    from harness.comparison.findings import must_pass_findings
    from harness.types import MustPassFinding

    found = [each.data for each in must_pass_findings(run)]
    return [key for data in found if isinstance(data, MustPassFinding) for key in data.cases]


@dataclass(frozen=True, slots=True, kw_only=True)
class _FileReplay:
    """One file, and what its replay found."""

    path: Path
    record: "GateRecord"
    is_intact: bool
    verification: "Verification"
    faults: tuple[str, ...]


def _replayed(path: Path, project: Path, allowed: "Permissions", adapter: Path | None) -> _FileReplay:
    from harness.baselines.run_file import read_record_file
    from harness.run.verification import verify as replay

    record, changed = read_record_file(path)
    verification = replay(record, project, allowed)
    return _FileReplay(
        path=path,
        record=record,
        is_intact=not changed,
        verification=verification,
        faults=(
            *(["the file was changed after it was written"] if changed else []),
            *([] if adapter is None else _other_model(adapter, record.run.model)),
            *verification.faults,
        ),
    )


def _has_failed(found: _FileReplay, failing: Collection["GateVerdict"]) -> bool:
    """Whether a file differs, or its gate failed: without a baseline, if a case did that must pass.

    A pipeline that has only the evidence must not be greener than the gate was. That another verdict was
    recomputed is one of the faults.
    """
    from harness.comparison.findings import must_pass_findings

    verdicts = {each.verdict for each in must_pass_findings(found.record.run)}
    if found.record.verdict is not None:
        verdicts = {found.record.verdict.outcome}
    return bool(found.faults) or not verdicts.isdisjoint(failing)


def _show(found: _FileReplay, *, named: bool) -> None:
    if named:
        say(f"{found.path}:")
    for fault in found.faults[:_MOST_SHOWN]:
        say(f"differs: {fault}")
    if len(found.faults) > _MOST_SHOWN:
        say(f"and {len(found.faults) - _MOST_SHOWN} more differences (--json lists all)")
    for what, times in Counter(found.verification.unverified).most_common():
        say(f"not verified: {what}{f' ({times} times)' if times > 1 else ''}")
    verdict = found.verification.recorded or "none"
    say(f"{found.verification.scores} scores recomputed, {len(found.faults)} differences; verdict {verdict}")


def _other_model(directory: Path, gated: "ModelRef") -> list[str]:
    from harness.models.resolve import adapter_sha256, model_sha256

    if gated.adapter_sha256 is None:
        what, recorded, found = "model", gated.base_sha256, model_sha256(directory)
    else:
        what, recorded, found = "adapter", gated.adapter_sha256, adapter_sha256(directory)
    return [] if found == recorded else [f"{directory} is not the {what} that was gated"]
