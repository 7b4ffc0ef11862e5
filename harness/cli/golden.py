"""``tunegate golden``: add cases, lint sets, write the schema."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_core import to_json
from rich.console import Console
from rich.panel import Panel
from rich.prompt import Prompt
from rich.text import Text

from harness.authoring.append import append_case, case_text
from harness.authoring.lint import lint_golden_set
from harness.authoring.offers import offer_checks
from harness.golden.load import load_golden_set
from harness.golden.schema import golden_schema
from harness.types import Completion, GenerationSettings, Message

app = typer.Typer(help="Golden sets: add cases, lint, schema.", no_args_is_help=True)
_FINDINGS = 1


@app.command()
def new(
    path: Annotated[Path, typer.Argument(help="The golden set; made when it doesn't exist.")],
    model: Annotated[
        str | None, typer.Option(help="Model whose answer is shown: adapter, directory, name or hub id.")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="The prompt; asked for when missing.")] = None,
    answer: Annotated[str | None, typer.Option(help="The answer wanted, in place of a model's.")] = None,
    case_id: Annotated[str | None, typer.Option("--id", help="The case's id.")] = None,
    checks: Annotated[
        str | None, typer.Option(help="Numbers of the offered checks to take, such as 1,3.")
    ] = None,
) -> None:
    """Add a case: asks for a prompt, shows an answer, offers checks that it passes and an empty one fails."""
    console = Console()
    prompt = prompt or _ask("prompt", "What is the model asked?")
    shown = _answer(console, model, prompt) if model is not None and answer is None else answer
    if shown is not None and answer is None:
        console.print(Panel(Text(shown or "(empty)"), title="the model's answer", title_align="left"))
        shown = Prompt.ask("a better answer, or Enter to take this one", default=shown, show_default=False)
    shown = shown or _ask("answer", "What is a good answer?")
    offers = offer_checks(prompt, shown)
    if not offers:
        raise typer.BadParameter("no check tells this answer from an empty one: give another answer")
    for number, offer in enumerate(offers, start=1):
        console.print(Text(f"  {number}  {_line(offer)}"))
    chosen = checks if checks is not None else Prompt.ask("checks to take, such as 1,3", default="1")
    picked = _picked(offers, chosen)
    case: dict[str, Any] = {
        "id": case_id or Prompt.ask("id", default=_id_of(prompt)),
        "prompt": prompt,
        "references": [shown],
        "checks": picked,
    }
    golden_set = append_case(path, case)
    console.print(Text(case_text(case, "  "), style="dim"))
    console.print(f"{path}: {len(golden_set.cases)} cases", highlight=False)


def _ask(what: str, question: str) -> str:
    text = Prompt.ask(question)
    if not text.strip():
        raise typer.BadParameter(f"the {what} is empty")
    return text


def _answer(console: Console, model: str, prompt: str) -> str:
    from harness.engines.base import CANDIDATE, GenerationRequest
    from harness.engines.open import open_engine

    completions: dict[int, Completion] = {}
    with console.status(f"asking {model}"):
        engine = open_engine(model)
        messages = (Message(role="user", content=prompt),)
        request = GenerationRequest(
            key="new", side=CANDIDATE, messages=messages, settings=GenerationSettings()
        )
        engine.generate([request], completions.update)
    return completions[0].text


def _picked(offers: Sequence[dict[str, Any]], chosen: str) -> list[dict[str, Any]]:
    numbers = [part.strip() for part in chosen.split(",") if part.strip()]
    if not numbers or any(not n.isdecimal() or not 1 <= int(n) <= len(offers) for n in numbers):
        raise typer.BadParameter(f"checks: found {chosen!r} (allowed: numbers from 1 to {len(offers)})")
    return [offers[int(number) - 1] for number in numbers]


def _id_of(prompt: str) -> str:
    words = re.findall(r"[a-z0-9]+", prompt.lower())
    return "-".join(words[-4:])[:40] or "case"


def _line(check: dict[str, Any]) -> str:
    rest = {key: value for key, value in check.items() if key != "type"}
    return f"{check['type']} {json.dumps(rest, ensure_ascii=False) if rest else ''}".rstrip()


@app.command()
def lint(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Golden sets or directories; golden_sets by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find cases that can't fail, can't pass, or repeat each other; exit status 1 if there are any."""
    files = [file for path in paths or [Path("golden_sets")] for file in _files(path)]
    findings = [finding for file in files for finding in lint_golden_set(load_golden_set(file))]
    if as_json:
        typer.echo(to_json(findings, indent=2).decode())
    else:
        for finding in findings:
            typer.echo(str(finding))
        typer.echo(f"{len(files)} sets, {len(findings)} findings", err=True)
    if findings:
        raise typer.Exit(_FINDINGS)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted([*path.rglob("*.yaml"), *path.rglob("*.yml")])
    if not path.is_file():
        raise typer.BadParameter(f"{path}: no such file or directory")
    return [path]


@app.command()
def schema(
    write: Annotated[Path | None, typer.Option(help="Write to this file instead of printing.")] = None,
) -> None:
    """Print the JSON Schema of golden sets, for editors."""
    text = json.dumps(golden_schema(), indent=2) + "\n"
    if write is None:
        typer.echo(text, nl=False)
    else:
        write.write_text(text, encoding="utf-8")
