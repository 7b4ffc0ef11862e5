"""``tunegate serve``: a model and its adapters behind an OpenAI-compatible server."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Annotated

import typer

from harness.cli.options import BaseOption
from harness.cli.prompting import asking_settings
from harness.engines.open import choose_plan, open_sides
from harness.errors import ModelError, SettingsError
from harness.metrics.encoders import Encoder, find_encoder
from harness.serving.models import ServedModels, name_models
from tunegate.printable import say

KEY_VARIABLE = "TUNEGATE_SERVE_API_KEY"
_ENCODER = "minilm"


def serve(
    model: Annotated[str, typer.Option(help="Base model, or adapter directory: its base is served too.")],
    adapters: Annotated[
        list[str] | None,
        typer.Option("--adapter", help="Further adapter of that base; may be repeated."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 chooses a free one.")] = 8000,
    dtype: Annotated[str, typer.Option(help="Precision of the weights.")] = "auto",
    device: Annotated[str, typer.Option(help="cpu, cuda, ..., split or auto.")] = "auto",
    base: BaseOption = None,
    runtime_adapters: Annotated[
        bool,
        typer.Option(
            "--runtime-adapters",
            help="Let clients load and unload adapters from this machine's directories, as vLLM does.",
        ),
    ] = False,
) -> None:
    """Serve a model and its adapters by name, over the OpenAI protocol, with the gate's own engine.

    The base has its given name, each adapter that of its directory. Answers are greedy unless a request says
    otherwise, and requests that wait together are answered in one batch.
    """
    if missing := [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]:
        raise SettingsError(f"{', '.join(missing)} not installed: pip install 'tunegate[serve]'")
    models = name_models(model, adapters or [], asking_settings(None, base).base)
    plan = choose_plan(dtype, device, None, list(models.values()))
    say(f"loading {', '.join(models)}", err=True)
    # Nothing here keeps the engine: it may have to leave memory before another one is loaded.
    served = ServedModels(open_sides(models, plan), models, plan, runtime_adapters=runtime_adapters)

    import uvicorn

    from harness.serving.app import create_app

    app = create_app(served, _encoders(), key=os.environ.get(KEY_VARIABLE))
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning"))
    _announce(server, list(models))
    with _told({name: name for name in models}):
        server.run()
    if not server.started:
        raise SettingsError(f"--port {port}: can't listen at {host}:{port}; is it taken?")


@contextmanager
def _told(labels: Mapping[str, str]) -> Iterator[None]:
    """The server's answers by OpenTelemetry, where its variables are set."""
    if not any(name.startswith("OTEL_EXPORTER_OTLP") for name in os.environ):
        yield
        return
    from harness.run.open_telemetry import ToldCommand, open_command_telemetry

    command = ToldCommand(name="serve", labels=labels, is_lasting=True)
    telemetry = open_command_telemetry(os.environ, command)
    try:
        yield
    finally:
        if telemetry is not None:
            telemetry.close({})


def _announce(server: object, names: Sequence[str]) -> None:
    """Print the server's address after it has started, so that a script can wait for the line."""
    import threading
    import time

    def wait() -> None:
        while not getattr(server, "started", False):
            if getattr(server, "should_exit", False):
                return
            time.sleep(0.02)
        address = server.servers[0].sockets[0].getsockname()  # type: ignore[attr-defined] # a uvicorn.Server
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        say(f"serving {', '.join(names)} at http://{host}:{address[1]}/v1")

    threading.Thread(target=wait, daemon=True).start()


def _encoders() -> dict[str, Callable[[Sequence[str]], list[list[float]]]]:
    """The default encoder if it was fetched; it loads with the first request for it."""
    try:
        encoder = find_encoder(_ENCODER)
    except ModelError:
        return {}
    if find_spec("sentence_transformers") is None:
        return {}
    return {_ENCODER: lambda texts: _embed(encoder, texts)}


def _embed(encoder: Encoder, texts: Sequence[str]) -> list[list[float]]:
    from harness.metrics.similar import load_encoder

    vectors = load_encoder(encoder).encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
    return [[float(number) for number in vector] for vector in vectors]
