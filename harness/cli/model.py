"""``tunegate model``: fetch, list and show base models."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from harness.engines.weights import SafetensorsError, read_header
from harness.errors import ModelError
from harness.models.catalogue import CATALOGUE
from harness.models.download import OnProgress
from harness.models.fetch import fetch_model
from harness.models.fetch_record import read_facts
from harness.models.home import model_directory, tunegate_home
from harness.models.resolve import model_sha256, resolve_model
from harness.presentation.console import open_console, table_console
from harness.types.storage import parse_json
from tunegate.printable import say

app = typer.Typer(help="Base models and encoders: fetch, list, show.", no_args_is_help=True)

_MEGABYTE = 1_000_000


@app.command()
def fetch(
    names: Annotated[
        list[str], typer.Argument(help=f"Catalogue names ({', '.join(CATALOGUE)}) or hub ids (hf:org/name).")
    ],
) -> None:
    """Fetch models into the cache, unless they are already there."""
    # Names that are not in the catalogue come first: a misspelt name is reported before anything is
    # downloaded.
    for name in sorted(dict.fromkeys(names), key=lambda name: name in CATALOGUE):
        if name in CATALOGUE:
            with _progress(name) as on_progress:
                directory = fetch_model(name, on_progress)
        else:
            directory = resolve_model(name, recorded=True, again=True)
        say(f"{name}: {directory}")


@contextmanager
def _progress(name: str) -> Iterator[OnProgress]:
    """Show stages on stderr: a bar on a terminal, otherwise one line per stage."""
    console = open_console(stderr=True, soft_wrap=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        shown = ""

        def on_progress(stage: str, done: float | None) -> None:
            nonlocal shown
            if stage != shown:
                for task in bar.task_ids:
                    bar.remove_task(task)
                # Without a total the bar pulses.
                bar.add_task(f"{name}: {stage}", total=None if done is None else 1.0)
                if not console.is_terminal:
                    console.print(f"{name}: {stage}", markup=False)
                shown = stage
            if done is not None:
                bar.update(bar.task_ids[-1], completed=done)

        yield on_progress


@app.command("list")
def list_models() -> None:
    """Show the catalogue."""
    table = Table("name", "what", "for", "download", "licence", "fetched", box=None)
    for entry in CATALOGUE.values():
        fetched = "yes" if (model_directory(entry.name) / "config.json").is_file() else "no"
        size = f"{entry.wheel_bytes / _MEGABYTE:.0f} MB"
        table.add_row(entry.name, entry.title, entry.purpose, size, entry.licence, fetched)
    console = table_console(pipe_width=120)
    console.print(table)
    say(f"\nFetched models are in {tunegate_home() / 'models'}")


@app.command()
def show(model: Annotated[str, typer.Argument(help="A catalogue name, directory or hub id.")]) -> None:
    """Show a model's size, parameters, precision, context, licence and hash."""
    directory = resolve_model(model, download=False)
    config = _object(directory / "config.json")
    files = sorted(directory.glob("*.safetensors"))
    parameters = sum(_elements(file) for file in files)
    size = sum(file.stat().st_size for file in files)
    sha256, facts = model_sha256(directory), read_facts(directory)
    template = any(directory.glob("chat_template*")) or "chat_template" in _object(
        directory / "tokenizer_config.json"
    )
    rows = {
        "path": directory,
        "architecture": ", ".join(map(str, config.get("architectures") or ["not stated"])),
        "parameters": f"{parameters / 1e6:.1f} million",
        "precision": config.get("dtype")
        or config.get("torch_dtype")
        or f"{8 * size / parameters:.0f} bits a parameter",
        "size": f"{size / _MEGABYTE:.0f} MB",
        "context": f"{config['max_position_embeddings']} tokens"
        if "max_position_embeddings" in config
        else "not stated",
        "chat template": "yes" if template else "no",
        "licence": facts.get("licence") or _licence(directory / "README.md"),
        "source": facts.get("source", "not fetched by tunegate"),
        "sha256": sha256,
    }
    if facts.get("sha256", sha256) != sha256:
        rows["changed"] = (
            f"its files have changed since they were fetched: run tunegate model fetch {facts['name']}"
        )
    # Plain lines: a path or hash that a table wraps can't be copied.
    for name, value in rows.items():
        say(f"{name:<14} {value}")


def _elements(file: Path) -> int:
    try:
        return sum(tensor.elements for tensor in read_header(file).values())
    except SafetensorsError as error:
        raise ModelError(f"{file}: {error}; get the model again") from error


def _object(path: Path) -> Mapping[str, Any]:
    """A JSON object; empty if there is no such file."""
    if not path.is_file():
        return {}
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path}: not JSON: {error}; get the model again") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def _licence(card: Path) -> str:
    """Licence in the header of a model card."""
    unknown = "not stated"
    if not card.is_file():
        return unknown
    parts = card.read_text(encoding="utf-8", errors="replace").split("---\n", maxsplit=2)
    if len(parts) < 3 or parts[0].strip():
        return unknown
    try:
        header = yaml.safe_load(parts[1])
    except (yaml.YAMLError, ValueError, RecursionError):
        return unknown
    return str(header.get("license") or unknown) if isinstance(header, dict) else unknown
