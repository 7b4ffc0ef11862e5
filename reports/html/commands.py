"""Commands for the reader to copy, quoted for a shell."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path, PurePath

from harness.settings import DTYPES
from harness.types import GateRecord, GoldenCase, ModelRef, ServerUse
from reports.earlier_runs import NO_EARLIER_RUNS, EarlierRuns
from reports.html.names import shown_path
from reports.html.text import one_line
from tunegate.printable import visible

_LONGEST = 300


def rerun_command(
    record: GateRecord, earlier: EarlierRuns = NO_EARLIER_RUNS, *, baseline: str | None = None
) -> str:
    """The command that gates the candidate again, as it was gated.

    Args:
        record: The gate's record.
        earlier: What it is shown beside, with the options of its command line.
        baseline: What to gate it against; None for what it was gated against.
    """
    if record.run.model.is_logged:
        # Its log is compared again, where it is now.
        return "tunegate compare BASELINE CANDIDATE"
    given = _recorded(record) if earlier.gating is None else earlier.gating
    if baseline is not None:
        flag = "--gate-baseline="
        given = [*(each for each in given if not each.startswith(flag)), f"{flag}{_quoted(baseline)}"]
    return " ".join(["pytest", _model(record.run.model, earlier.project), *given])


def _recorded(record: GateRecord) -> Sequence[str]:
    """What the record itself tells of the options: its servers, and a baseline that is not the base."""
    model, plan, found = record.run.model, record.run.plan, list[str]()
    by_vllm, server = plan.engine == "vllm", plan.server or ServerUse()
    if by_vllm:
        found = ["--gate-engine=vllm"]
        found += [f"--gate-server={_quoted(server.url)}"] if server.url else []
        found += [f"--gate-server-args={_quoted(server.arguments)}"] if server.arguments else []
    # That of a server that was started names its version and arguments beside the user's word.
    if server.identity and (server.url or not by_vllm):
        found.append(f"--gate-model-id={_quoted(server.identity)}")
    if record.baseline is not None:
        other = record.baseline.model
        if other.adapter_sha256 or not model.adapter_sha256 or other.base_sha256 != model.base_sha256:
            found.append(f"--gate-baseline={_quoted(record.baseline.id)}")
    return found


def case_command(record: GateRecord, case: GoldenCase, path: str, again: str) -> str:
    """The command that gates one case alone.

    Args:
        record: The gate's record.
        case: The case.
        path: The golden set's file as it is shown.
        again: The command that gates all of them again.
    """
    if record.run.model.is_logged:
        return f"tunegate runs show {_quoted(record.run.id)} --case {_quoted(case.key)}"
    if PurePath(path).is_absolute() or path.startswith("…"):
        return f"{again} -k {_quoted(case.id)}"
    return again.replace("pytest ", f"pytest {_quoted(f'{path}::{case.id}')} ", 1)


def show_command(record: GateRecord, unsaved: str | None, place: str = "") -> str:
    """The command that shows one case in a terminal; empty if no command finds the run.

    Args:
        record: The gate's record.
        unsaved: None if the history has the run; otherwise the command that saves it, empty if there is none.
        place: Where the history is, as options of commands.
    """
    if unsaved == "":
        return ""
    first = "" if unsaved is None else f"{unsaved} && "
    return f"{first}tunegate runs show {_quoted(record.run.id)}{place} --case SET/ID"


def accept_command(record: GateRecord, place: str = "") -> str:
    """The command that accepts the run as a baseline.

    Args:
        record: The gate's record.
        place: Where the history is, as options of commands.
    """
    return f"tunegate runs accept {_quoted(record.run.id)} main{place} --reason '…'"


def against_command(record: GateRecord, name: str, earlier: EarlierRuns = NO_EARLIER_RUNS) -> str:
    """The command that gates the candidate against an accepted run; empty for answers from a log.

    A log is compared with another log, which only its owner can name.

    Args:
        record: The gate's record.
        name: The name under which the run was accepted.
        earlier: What it is shown beside.
    """
    if record.run.model.is_logged:
        return ""
    return rerun_command(record, earlier, baseline=name)


def new_case_command(record: GateRecord, set_name: str, project: Path | None) -> str:
    """The command that adds a case to a golden set; empty for a set that is not in the project.

    Args:
        record: The gate's record.
        set_name: The golden set's name.
        project: The project's root, to which paths are relative.
    """
    if record.run.model.is_logged:
        return ""
    paths = [each.path for each in record.run.golden_sets if each.name == set_name]
    shown = shown_path(paths[0], project) if paths else ""
    return f"tunegate golden new {_quoted(shown)}" if shown and not shown.startswith("…") else ""


def noise_command(record: GateRecord, project: Path | None, given: str = "") -> str:
    """The command that records how the baseline's answers vary; empty for answers from a log.

    Args:
        record: The gate's record.
        project: The project's root, to which paths are relative.
        given: What the gate asked, and where the history is, as options of commands.
    """
    if record.baseline is None or record.baseline.model.is_logged:
        return ""
    # A record is found by the precision; that of a server is not known, nor can it be chosen.
    dtype = record.baseline.plan.dtype
    chosen = f" --dtype={dtype}" if dtype in DTYPES else ""
    return f"tunegate noise {_model(record.baseline.model, project)}{chosen}{given}"


def _model(model: ModelRef, project: Path | None) -> str:
    """A model's option, as it is typed in the project's root."""
    label = PurePath(model.label)
    directory = PurePath(model.adapter_dir or _here(model.label))
    if project is not None and directory.is_absolute() and directory.is_relative_to(project):
        return f"--model={_quoted(str(directory.relative_to(project)))}"
    # From another directory, "../orders" would be another adapter.
    elsewhere = ".." in label.parts and directory.is_absolute()
    return f"--model={_quoted(str(directory) if elsewhere else model.label)}"


def _here(label: str) -> str:
    """A whole model's directory, if the session that began here was given one."""
    return os.path.normpath(Path.cwd() / label) if Path(label).is_dir() else label


def _quoted(text: str) -> str:
    # Hidden characters are spelled out: nobody should paste what can't be seen.
    return shlex.quote(visible(one_line(text, _LONGEST)))
