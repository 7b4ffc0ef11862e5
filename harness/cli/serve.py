"""``tunegate serve``: a model and its adapters behind an OpenAI-compatible server."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import BaseOption
from harness.cli.prompting import asking_settings
from harness.engines.open import choose_plan, open_sides
from harness.errors import SettingsError
from harness.serving.encoders import served_encoders
from harness.serving.listening import bound_sockets, unheard
from harness.serving.models import ServedModels, name_models
from tunegate.printable import say

if TYPE_CHECKING:
    import socket

KEY_VARIABLE = "TUNEGATE_SERVE_API_KEY"


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
    # Loading takes minutes, after which a taken port is told too late.
    with bound_sockets(host, port) as sockets:
        say(f"loading {', '.join(models)}", err=True)
        # Nothing here keeps the engine: it may have to leave memory before another one is loaded.
        served = ServedModels(open_sides(models, plan), models, plan, runtime_adapters=runtime_adapters)
        _serve(served, sockets)


def _serve(served: ServedModels, sockets: "Sequence[socket.socket]") -> None:
    import uvicorn

    from harness.serving.app import create_app

    app = create_app(served, served_encoders(), key=os.environ.get(KEY_VARIABLE))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    names = list(served.models)
    _announce(server, names)
    with _told({name: name for name in names}):
        try:
            server.run(list(sockets))
        except OSError as error:
            # Another server took the port meanwhile: who binds it doesn't have it yet.
            if server.started:
                raise
            raise unheard(*sockets[0].getsockname()[:2], reason=error) from None


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
