"""``tunegate verify``: replay the evidence of a gate that ran elsewhere, and accept it."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import JsonOption
from tunegate.exit_status import ExitStatus
from tunegate.printable import say
from tunegate.project import command_project

_MOST_SHOWN = 20


def verify(
    evidence: Annotated[Path, typer.Argument(help="The file that --gate-json wrote.", show_default=False)],
    root: Annotated[
        Path | None, typer.Option(help="The project with the golden sets.", show_default="the project's root")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The adapter: is it the one that was gated, by its content?")
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
    as_json: JsonOption = False,
) -> None:
    """Compute scores and verdict of a gate's JSON file again; exit status 1 if anything differs."""
    from harness.baselines.accept import accept_run
    from harness.baselines.run_file import read_record_file
    from harness.errors import BaselineError
    from harness.run.verification import verify as replay
    from harness.types import GateVerdict, Permissions
    from harness.types.storage import to_json

    record, changed = read_record_file(evidence)
    project = root or command_project(Path.cwd())
    found = replay(record, project, Permissions(python=allow_python, code=allow_code))
    faults = [
        *(["the file was changed after it was written"] if changed else []),
        *([] if model is None else _other_model(Path(model).expanduser(), record.run.model.adapter_sha256)),
        *found.faults,
    ]
    if as_json:
        say(to_json({"run": record.run.id, "intact": not changed, "verification": found}))
    else:
        for fault in faults[:_MOST_SHOWN]:
            say(f"differs: {fault}")
        if len(faults) > _MOST_SHOWN:
            say(f"and {len(faults) - _MOST_SHOWN} more differences (--json lists all)")
        for what, times in Counter(found.unverified).most_common():
            say(f"not verified: {what}{f' ({times} times)' if times > 1 else ''}")
        verdict = found.recorded or "none"
        say(f"{found.scores} scores recomputed, {len(faults)} differences; verdict {verdict}")
    if faults:
        raise typer.Exit(ExitStatus.FAILED)
    if accept is not None:
        if found.recorded is GateVerdict.REGRESS:
            raise BaselineError(f"run {record.run.id} can't be accepted as {accept}: it regressed")
        path = accept_run(record.run, accept, reason, project)
        say(f"wrote {path}: compare with it by --gate-baseline={accept}")


def _other_model(directory: Path, recorded: str | None) -> list[str]:
    from harness.models.resolve import adapter_sha256

    found = adapter_sha256(directory)
    return [] if found == recorded else [f"{directory} is not the adapter that was gated"]
