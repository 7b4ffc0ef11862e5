"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from harness.errors import SettingsError

GoldenOption = Annotated[
    list[Path] | None, typer.Option("--golden", help="Golden set or directory; may be repeated.")
]
ForgettingOption = Annotated[
    bool,
    typer.Option(
        "--forgetting/--no-forgetting",
        help="Ask the bundled forgetting probes too, unless a golden set says that it probes forgetting.",
    ),
]
# Where nothing is asked, and it only matters what a gate of the project would ask.
GatedProbesOption = Annotated[
    bool | None,
    typer.Option(
        "--forgetting/--no-forgetting",
        help="Whether the gate asks forgetting probes too; by default the project's setting.",
    ),
]
# Where a gate's --gate-directory is; the history's file may be named as well.
HistoryOption = Annotated[
    str | None,
    typer.Option(
        "--directory",
        "--history",
        help="Holds the history; or the history's file, or the URL of a server.",
        show_default="TUNEGATE_HISTORY, else the project's setting, else .tunegate",
    ),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Only the golden set of this name; may be repeated.")
]
DirectoryOption = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        help="Holds history, cache and calibrations.",
        show_default="the project's setting, else .tunegate",
    ),
]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base",
        "--gate-base",
        help="The base of adapters that were made on another machine.",
        show_default="the project's setting",
    ),
]
TemplateValuesOption = Annotated[
    str | None,
    typer.Option(
        "--chat-template-kwargs",
        "--gate-chat-template-kwargs",
        metavar="JSON",
        help="Values for the models' chat templates; a case's own win.",
        show_default="the project's setting",
    ),
]
JudgeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--judge", "--gate-judge", help="openai:MODEL@URL, local:MODEL or reward:DIR; repeated, a panel."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DtypeOption = Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")]
BatchTokensOption = Annotated[
    int | None, typer.Option(min=256, help="Token budget of a batch (default: a gate's).", show_default=False)
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, split.")]
ServerArgsOption = Annotated[
    str | None,
    typer.Option(
        "--server-args",
        "--gate-server-args",
        metavar="ARGS",
        help="Further arguments of the server that the plan vllm starts.",
        show_default="the project's setting",
    ),
]
ServerConcurrencyOption = Annotated[
    int | None,
    typer.Option(
        "--server-concurrency",
        "--gate-server-concurrency",
        min=1,
        help="How many requests are sent to one server at a time.",
        show_default="the project's setting, else 8",
    ),
]
ServerTimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--server-timeout",
        "--gate-server-timeout",
        help="Longest time for one attempt at a request to a served model, in seconds.",
        show_default="the project's setting, else 120",
    ),
]
ModelIdOption = Annotated[
    str | None,
    typer.Option(
        "--model-id",
        "--gate-model-id",
        help="Your word for what a served model's weights are.",
        show_default="the project's setting",
    ),
]


def check_output(path: Path | None, option: str, mark: str) -> None:
    """Refuse a file that can't be written, or that holds something else than an earlier output.

    Args:
        path: The file; None if the option is not given.
        option: Which names it.
        mark: What is near the start of every output of this kind.

    Raises:
        SettingsError: It is such a file, perhaps a golden set.
    """
    from harness.types.storage import why_unwritable

    if path is None:
        return
    try:
        problem, start = why_unwritable(path), b""
        if problem is None and path.is_file():
            with path.open("rb") as file:
                start = file.read(1000)
    except OSError as error:
        problem, start = f"can't be written: {error.strerror or error}", b""
    if problem is None and start.strip() and mark.encode() not in start:
        problem = "holds something else: name another file, or delete it first"
    if problem is not None:
        raise SettingsError(f"{option}: {path} {problem}")
