"""Starts ``vllm serve`` for a session; it ends with the process, also where that is killed."""

import atexit
import math
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.engines.adapter import read_json
from harness.engines.served import supervisor
from harness.errors import EngineError, ModelError, SettingsError
from harness.models.resolve import CHANGED, model_sha256, resolve_model
from harness.types import ModelRef

# Loading a large model and compiling it takes minutes.
_START_S = 1800.0
# Twice the time that a server has for its own end.
_END_S = 40.0
# The ranks that it can be started with.
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
COMMAND = "vllm"
# Arguments that divide a model, or requests, among devices; their numbers multiply.
_DIVIDING = {
    "--tensor-parallel-size": "tensor",
    "-tp": "tensor",
    "--pipeline-parallel-size": "pipeline",
    "-pp": "pipeline",
    "--data-parallel-size": "data",
    "-dp": "data",
}
# The last line of a traceback, as one of the server's processes writes it.
_ERROR = re.compile(r"(?:\([\w ]+pid=\d+\) )?((?:\w+\.)*\w*(?:Error|Exception)(?:: .*)?)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _StartedServer:
    url: str
    base_sha256: str
    process: "subprocess.Popen[bytes]"
    log: Path
    most_rank: int
    places: int


# One server for all engines of a process: two would not fit on one device.
_STARTED: dict[tuple[str, str], _StartedServer] = {}


def start_server(model: ModelRef, adapters: Sequence[ModelRef], arguments: str) -> str:
    """The address of a started server with the model's base.

    Args:
        model: A model; its base is served.
        adapters: The adapters that it has to have room for; none for a base alone.
        arguments: Further arguments of ``vllm serve``, as a shell reads them.

    Raises:
        SettingsError: vLLM isn't installed, or the arguments can't be read.
        EngineError: It does not start.
        ModelError: The base's files changed before the server had loaded them.
    """
    base_dir = str(resolve_model(model.base_model, recorded=True))
    most, places = max(map(rank_of, adapters), default=0), len(adapters)
    rank = next(rank for rank in RANKS if rank >= most)
    key = (base_dir, arguments)
    if (known := _STARTED.get(key)) is not None:
        has_room = known.most_rank >= rank and known.places >= places
        # Files that were written anew under the same path are another base.
        if known.process.poll() is None and has_room and known.base_sha256 == model.base_sha256:
            return known.url
        _end(known.process, known.log)
    command = find_command()
    port = _free_port()
    line = [
        *(command, "serve", base_dir, "--served-model-name", model.base_model),
        *("--host", "127.0.0.1", "--port", str(port)),
        # Some bases, and float32 on a GPU, can't have any: a server for adapters ends at its start.
        *(["--enable-lora", "--max-lora-rank", str(rank), "--max-loras", str(places)] if places else []),
        *_split(arguments),
    ]
    log = Path(tempfile.mkdtemp(prefix="tunegate-vllm-")) / "log.txt"
    environment = {**os.environ, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            # A program of the standard library alone: what the environment adds to Python is the server's.
            [sys.executable, "-ISE", supervisor.__file__, *line],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    atexit.register(_end, process, log)
    url = f"http://127.0.0.1:{port}/v1"
    _wait_for(port, process, log)
    # It takes a minute to read them, and answers are stored by what they were.
    if model_sha256(Path(base_dir)) != model.base_sha256:
        _end(process, log)
        raise ModelError(f"{model.base_model}: {CHANGED}")
    _STARTED[key] = _StartedServer(
        url=url,
        base_sha256=model.base_sha256,
        process=process,
        log=log,
        most_rank=rank,
        places=places,
    )
    return url


def find_command(asked: str = "--gate-engine vllm", named: str = "--gate-server URL") -> str:
    """Where the command is that starts a server.

    Args:
        asked: The option that asks for a server.
        named: How another server is named.

    Raises:
        SettingsError: vLLM isn't installed.
    """
    command = shutil.which(COMMAND)
    if command is None:
        raise SettingsError(f"{asked}: vllm is not installed: pip install vllm, or name a server: {named}")
    return command


def rank_of(adapter: ModelRef) -> int:
    """The largest rank of an adapter's matrices."""
    config = read_json(Path(str(adapter.adapter_dir)) / "adapter_config.json")
    patterns = config.get("rank_pattern") or {}
    return max([int(config.get("r") or 0), *(int(rank) for rank in patterns.values())])


def _split(arguments: str) -> list[str]:
    try:
        return shlex.split(arguments)
    except ValueError as error:
        raise SettingsError(f"--gate-server-args {arguments!r}: {error}") from None


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until the server listens.

    Raises:
        EngineError: It ended before, or takes too long.
    """
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise EngineError(_ending(process, log))
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    _end(process)
    raise EngineError(f"vllm serve does not listen after {_START_S / 60:.0f} minutes (see {log})")


def _ending(process: "subprocess.Popen[bytes]", log: Path) -> str:
    why = _cause(log.read_text("utf-8", "replace"))
    return f"vllm serve ended with status {process.returncode}: {why} (see {log})"


def ending_of(url: str) -> str:
    """How a server ended that was started here; empty while it goes on, and for other servers.

    Args:
        url: Its address.
    """
    ended = [each for each in _STARTED.values() if each.url == url and each.process.poll() is not None]
    return _ending(ended[0].process, ended[0].log) if ended else ""


def devices_of(arguments: str) -> int:
    """How many devices a server takes.

    Args:
        arguments: As of ``start_server``.

    Raises:
        SettingsError: They can't be read.
    """
    sizes: dict[str, int] = {}
    words = _split(arguments)
    for word, following in zip(words, [*words, ""][1:], strict=True):
        name, has_value, value = word.partition("=")
        # vLLM takes both signs in a name.
        kind = _DIVIDING.get(name.replace("_", "-"))
        if kind is None:
            continue
        size = value if has_value else following
        if not size.isdecimal() or int(size) < 1:
            raise SettingsError(
                f"--gate-server-args: {name}: found {size!r} (allowed: a whole number from 1)"
            )
        sizes[kind] = int(size)
    return math.prod(sizes.values())


def _cause(log: str) -> str:
    """Why a server ended: its first error, for its last one may only say that another process failed."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [found[1] for line in lines if (found := _ERROR.match(line))]
    return (errors or lines[-1:] or ["it said nothing"])[0][:300]


def _end(process: "subprocess.Popen[bytes]", log: Path | None = None) -> None:
    """End a server and all its processes: what runs them does it when its input ends.

    Args:
        process: The server.
        log: Its log, of which nothing is left; that of a server which ended by itself says why, and stays.
    """
    was_at_work = process.poll() is None
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(timeout=_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
    if log is not None and was_at_work:
        shutil.rmtree(log.parent, ignore_errors=True)
