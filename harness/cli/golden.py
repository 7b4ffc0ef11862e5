"""``tunegate golden``: add cases, lint sets, write the schema."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.options import GatedProbesOption, JsonOption, check_output
from harness.errors import GoldenError, as_one
from harness.settings import Settings, load_settings
from harness.types import GoldenSet
from harness.types.storage import write_whole
from tunegate.printable import say
from tunegate.project import command_project

if TYPE_CHECKING:
    from harness.authoring.finding import Finding

app = typer.Typer(help="Golden sets: add cases, lint, schema.", no_args_is_help=True)
_FINDINGS = 1


@app.command()
def new(
    path: Annotated[Path, typer.Argument(help="The golden set; created if it doesn't exist.")],
    model: Annotated[
        str | None, typer.Option(help="Model whose answer is shown: adapter, directory, name or hub id.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="The prompt; - reads it from standard input, with all lines.")
    ] = None,
    answer: Annotated[
        str | None, typer.Option(help="A good answer, which becomes the reference; - as for the prompt.")
    ] = None,
    case_id: Annotated[str | None, typer.Option("--id", help="The case's id.")] = None,
    checks: Annotated[
        str | None, typer.Option(help="Numbers of the offered checks to take, such as 1,3.")
    ] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="A tag; may be repeated.")] = None,
    cluster: Annotated[
        str | None, typer.Option(help="A name that is shared by cases that are variants of one another.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="System message; replaces the set's own.")] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another key, its value as YAML: --set timeout=20; may be repeated."),
    ] = None,
    own_checks: Annotated[
        list[str] | None,
        typer.Option("--check", help="A check as YAML, such as '{type: is-json}'; may be repeated."),
    ] = None,
) -> None:
    """Add a case: a prompt, a good answer, and checks that it passes and an empty answer fails.

    It asks for everything that isn't given, then for another case. With a model, its own answer is shown
    first, as the gate would get it. --set gives any other key of a case: turns, messages, tools, vars.
    """
    from harness.cli.case_keys import read_checks, read_keys
    from harness.cli.new_case import CaseInput, add_cases

    given = CaseInput(
        prompt=prompt,
        answer=answer,
        case_id=case_id,
        checks=checks,
        tags=tuple(tags or ()),
        cluster=cluster,
        system=system,
        further=read_keys(keys or ()),
        own_checks=tuple(read_checks(own_checks or ())),
    )
    add_cases(path, model, given)


@app.command()
def lint(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Golden sets or directories; golden_sets by default.")
    ] = None,
    fail_on: Annotated[
        Literal["warning", "error"], typer.Option(help="The least level that makes exit status 1.")
    ] = "warning",
    looks: Annotated[
        int | None,
        typer.Option(min=1, max=20, help="Looks of --gate-looks; by default the project's setting."),
    ] = None,
    forgetting: GatedProbesOption = None,
    as_json: JsonOption = False,
    sarif: Annotated[
        Path | None, typer.Option(help="Also write the findings as SARIF here, for a code host.")
    ] = None,
) -> None:
    """Find cases that can't fail, can't pass, or repeat each other; exit status 1 if there are any.

    A comment in a case's lines switches a rule off: # lint: off RULE REASON
    """
    from harness.authoring.lint import lint_golden_set
    from harness.golden.load import golden_files, load_golden_set, name_fault

    check_output(sarif, "--sarif", "schemastore.org/sarif")
    files = golden_files(paths or None)
    settings = _asked(looks=looks, forgetting=forgetting)
    findings, sets = [], dict[Path, GoldenSet]()
    faulty: list[GoldenError] = []
    # Several paths may be of several projects; those of one folder are gated together.
    taken = dict[str, str]() if len(paths or ()) < 2 else None
    for file in files:
        try:
            golden_set = load_golden_set(file)
            if taken is not None and (fault := name_fault(golden_set, taken)) is not None:
                faulty.append(fault)
            findings += lint_golden_set(golden_set)
            sets[file] = golden_set
        except GoldenError as error:
            faulty += error.faults
    if as_json and not faulty:
        from harness.types.storage import to_json

        say(to_json([{**asdict(finding), "level": finding.level} for finding in findings]))
    elif not as_json:
        for finding in findings:
            say(str(finding))
    _write_sarif(sarif, findings, faulty)
    if faulty:
        raise as_one(faulty)
    # Not a fault of a case: it says how little such a small set can show.
    for note in _notes(sets, settings, together=taken is not None):
        say(note, err=True)
    if not as_json:
        errors = sum(finding.level == "error" for finding in findings)
        told = f", {_counted(errors, 'error')}" if findings else ""
        say(f"{_counted(len(files), 'set')}, {_counted(len(findings), 'finding')}{told}", err=True)
    if any(finding.level == "error" or fail_on == "warning" for finding in findings):
        raise typer.Exit(_FINDINGS)


def _asked(**options: object) -> Settings:
    """The project's settings, where no option says otherwise."""
    settings = load_settings({}, command_project(Path.cwd()), os.environ)
    return settings.model_copy(update={name: each for name, each in options.items() if each is not None})


def _notes(sets: Mapping[Path, GoldenSet], settings: Settings, *, together: bool) -> Iterator[str]:
    """How little sets can show, and what of them does nothing, each with its file.

    Args:
        sets: The sets by file. Those of the project are gated with all others of it.
        settings: The gate's.
        together: Whether those that are elsewhere are gated together; otherwise each by itself.
    """
    from harness.golden.load import golden_files

    known = {Path(os.path.normpath(file.absolute())): each for file, each in sets.items()}
    project = {Path(os.path.normpath(file.absolute())) for file in golden_files()}
    inside = {file: each for file, each in known.items() if file in project}
    outside = {file: each for file, each in known.items() if file not in project}
    unable = _never_regress(inside, settings, sorted(project)) if inside else {}
    for session in [outside] if together else [{file: each} for file, each in outside.items()]:
        unable |= _never_regress(session, settings)
    for file, (place, each) in zip(sets, known.items(), strict=True):
        yield from (f"{file}: note: {note}" for note in _notes_of(each, settings, unable[place]))


def _never_regress(
    sets: Mapping[Path, GoldenSet], settings: Settings, others: Sequence[Path] = ()
) -> dict[Path, list[str]]:
    """Notes of what sets that are gated together, with further ones, can't show; by file."""
    from harness.authoring.passable import asks_probes, last_level
    from harness.authoring.regressable import notes_of_no_regress, shows_little
    from harness.golden.load import GateContent, gate_content

    levels = {each.name: last_level(each, settings.looks) for each in sets.values()}
    content = GateContent(own=tuple(sets.values()))
    # Nothing further is read where it doesn't matter; what can't be read is left out: a gate says more of it.
    if shows_little(content, levels):
        content = gate_content(others, forgetting=asks_probes(settings), known=sets)
    notes = notes_of_no_regress(content, levels)
    return {file: notes.get(each.name, []) for file, each in sets.items()}


def _notes_of(golden_set: GoldenSet, settings: Settings, never_regresses: Sequence[str] = ()) -> list[str]:
    """How little such a small set can show, and what of it does nothing: no fault of a case.

    Args:
        golden_set: The set.
        settings: The gate's.
        never_regresses: Notes of what it can't show beside the others.
    """
    from harness.authoring.passable import as_computed, computed_in, last_level, notes_of_no_pass
    from harness.authoring.templated import why_not_independent
    from harness.golden.idle_keys import GateContext, idle_keys
    from harness.types import EXACT_DTYPES

    computed = computed_in(settings)
    known = GateContext(exact=not computed or computed in EXACT_DTYPES)
    idle = [f"{rule.key} has no effect: {rule.why}: {rule.remedy}" for rule in idle_keys(golden_set, known)]
    golden_set = _with_margin_of_project(golden_set, settings)
    level = last_level(golden_set, settings.looks)
    notes = [*notes_of_no_pass(golden_set, level, computed), *never_regresses, *idle]
    if (alike := why_not_independent(golden_set)) is not None:
        notes.append(alike)
    # Where nobody says how answers are computed, a note of another way says nothing of this one.
    own = as_computed(golden_set, computed)
    seldom = None if notes_of_no_pass(own, level) else _why_it_seldom_passes(own)
    if seldom is not None:
        notes.append(seldom)
    return notes


def _with_margin_of_project(golden_set: GoldenSet, settings: Settings) -> GoldenSet:
    """A setting of the project's is the margin of all its sets."""
    margin = settings.forgetting_margin if golden_set.probes_forgetting else settings.margin
    return golden_set if margin is None else replace(golden_set, gate=replace(golden_set.gate, margin=margin))


def _why_it_seldom_passes(golden_set: GoldenSet) -> str | None:
    """Of a set with several gated metrics; for others no numerical library is imported."""
    if not golden_set.gate.metric_margins:
        return None
    from harness.studies.set_power import why_it_seldom_passes

    return why_it_seldom_passes(golden_set)


def _write_sarif(path: Path | None, findings: "list[Finding]", faulty: list[GoldenError]) -> None:
    if path is not None:
        from harness.authoring.sarif import render_sarif

        write_whole(path, render_sarif(findings, faulty))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@app.command()
def schema(
    write: Annotated[Path | None, typer.Option(help="Write to this file instead of printing.")] = None,
) -> None:
    """Print the JSON Schema of golden sets, for editors."""
    from harness.golden.editor_schema import golden_schema

    text = json.dumps(golden_schema(), indent=2) + "\n"
    if write is None:
        say(text, end="")
        return
    check_output(write, "--write", "json-schema.org")
    try:
        write_whole(write, text)
    except OSError as error:
        raise GoldenError(write, None, "", f"can't be written: {error.strerror}") from error
