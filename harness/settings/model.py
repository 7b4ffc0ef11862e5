"""The gate's settings: each is defined once, with its type, its option and its help.

Options, environment variables, keys of pyproject.toml and the reference page are made from these fields. A
fault in a setting is told in one line.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.settings.values import (
    DTYPES,
    ENGINES,
    FAIL_ON,
    WEIGHTS,
    AllowedValues,
    Dtype,
    EngineName,
    FailOn,
    Fraction,
    Judges,
    KeptRuns,
    Looks,
    Models,
    Option,
    OptionalPaths,
    OptionalText,
    Paths,
    Positive,
    Prices,
    Seconds,
    StoredWeights,
    Switch,
    TemplateValues,
    Text,
    Times,
    Tokens,
    Trackers,
    Words,
    WorkerCount,
)
from harness.types import Permissions


class Settings(BaseModel):
    """The settings of one gate.

    Attributes:
        model: The candidates: each an adapter directory, model directory, catalogue name or hub id, or a
            directory of several adapters. Empty: no gate.
        base: The adapters' base, in place of the one that their configurations name.
        baseline: ``base``, ``none``, another model, or a stored run.
        golden: Files and directories of golden sets, relative to the project's root.
        paths: What to collect besides golden sets when the command line names nothing; None takes the tests
            below pytest's ``testpaths``, or anywhere where there are none, that ask the model.
        margin: Largest tolerated drop of every task set's pass rate; None leaves it to the sets.
        forgetting_margin: The same for the forgetting probes.
        forgetting: Whether the forgetting probes and the general text are run.
        dtype: Precision of the weights; ``auto`` is bfloat16 on a GPU that has it, else float32.
        weights: Whether bases are loaded as they are stored, or in 4 bits.
        device: A torch device, ``auto``, or ``split`` among several.
        batch_tokens: Token budget of a batch; None for what suits device and models.
        workers: Processes that answer on this machine's processor; None chooses it.
        engine: Who runs a base model and its adapters.
        server: The server that adapters are loaded into; None starts one.
        server_args: Further arguments of the server that is started.
        server_concurrency: Requests to one server that are under way at a time.
        server_timeout_s: Longest time for one attempt at a request, in seconds.
        server_prices: Of a million prompt tokens and a million completion tokens; None: no cost is reported.
        model_id: The user's word for what the weights of served models are.
        cache: Whether answers and scores are read from and written to the cache.
        fail_on: Further reasons to fail the run, besides errors and must-pass cases.
        confirm: How often what makes a regression is resampled, a side; 0 leaves it at the first verdict.
        looks: How often the gate looks at the cases answered so far, and may stop; 1 answers all of them.
        directory: Where history, cache and reports are kept, relative to the project's root.
        history: A server's URL or a file, relative to the project's root; None for the file in ``directory``.
        keep_runs: How many of the newest runs, and those of how many days, stay in the history; None: all.
        chat_template_kwargs: Values for the models' chat templates, where a case gives none of that name.
        allow_python_checks: Whether ``python`` checks may run the project's own code.
        allow_code_checks: Whether ``code`` checks may run the code that a model wrote.
        track: Trackers that the run is sent to, each perhaps with a target.
        judge: Specs of the judge, or of an odd number of judges.
        judge_concurrency: Questions to a judge that are under way at a time.
        judge_timeout_s: Longest time for one attempt at a question, in seconds.
        judge_prices: Of a million prompt tokens and a million completion tokens; None: no cost is reported.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    model: Annotated[
        Models,
        Option(
            flag="--model",
            metavar="DIR|NAME",
            help="the candidate: an adapter directory, a model directory, a catalogue name or a hub id; "
            "repeated, or a directory of adapters: several, gated together and ranked",
            repeated=True,
        ),
    ] = ()
    base: Annotated[
        OptionalText,
        Option(
            flag="--gate-base",
            metavar="DIR|NAME",
            help="the adapters' base, where it isn't what adapter_config.json names: another machine's "
            "path, say",
        ),
    ] = None
    baseline: Annotated[
        Text,
        Option(
            flag="--gate-baseline",
            metavar="base|none|NAME|RUN|DIR",
            help="compare with the base, nothing, an accepted or stored run, commit:REV, another model",
        ),
    ] = "base"
    golden: Annotated[
        Paths,
        Option(
            flag="--gate-golden",
            metavar="PATH",
            help="golden set or directory of them; may be repeated (default: golden_sets)",
            repeated=True,
        ),
    ] = ("golden_sets",)
    paths: Annotated[
        OptionalPaths,
        Option(flag=None, help="hand-written tests that also run when the command line names no path"),
    ] = None
    margin: Annotated[
        Fraction,
        Option(
            flag="--gate-margin",
            metavar="DROP",
            help="largest tolerated drop of a task set's pass rate, 0 to 1 "
            "(default: the set's own, else 0.05)",
        ),
    ] = None
    forgetting_margin: Annotated[
        Fraction,
        Option(
            flag="--gate-forgetting-margin",
            metavar="DROP",
            help="the same for the forgetting probes (default: the set's own, else 0.10)",
        ),
    ] = None
    forgetting: Annotated[
        Switch,
        Option(flag="--gate-no-forgetting", help="leave out the forgetting probes and the general text"),
    ] = True
    dtype: Annotated[
        Dtype,
        Option(flag="--gate-dtype", metavar="|".join(DTYPES), help="precision (auto: float32 on a CPU)"),
    ] = "auto"
    weights: Annotated[
        StoredWeights,
        Option(
            flag="--gate-weights", metavar="|".join(WEIGHTS), help="nf4: in 4 bits, as QLoRA trains on them"
        ),
    ] = "stored"
    device: Annotated[
        Text, Option(flag="--gate-device", metavar="DEVICE", help="cpu, cuda:1, mps, split (default: auto)")
    ] = "auto"
    batch_tokens: Annotated[
        Tokens,
        Option(flag="--gate-batch-tokens", metavar="N", help="rows x length of a batch (4096 to 65536)"),
    ] = None
    workers: Annotated[
        WorkerCount,
        Option(flag="--gate-workers", metavar="auto|N", help="processes answering on a CPU (default: auto)"),
    ] = None
    engine: Annotated[
        EngineName,
        Option(
            flag="--gate-engine",
            metavar="|".join(ENGINES),
            help="who runs a base and its adapters: transformers (default), vLLM, a Ray cluster's nodes",
        ),
    ] = "transformers"
    server: Annotated[
        OptionalText,
        Option(
            flag="--gate-server",
            metavar="URL",
            help="with --gate-engine vllm, the server to join, up to /v1 (default: vllm serve starts one)",
        ),
    ] = None
    server_args: Annotated[
        Words,
        Option(
            flag="--gate-server-args",
            metavar="ARGS",
            help="further arguments of the server that --gate-engine vllm starts, such as "
            "'--tensor-parallel-size 2'",
        ),
    ] = ""
    server_concurrency: Annotated[
        Positive,
        Option(
            flag="--gate-server-concurrency",
            metavar="N",
            help="how many requests are sent to one server at a time (default: 8)",
        ),
    ] = 8
    server_timeout_s: Annotated[
        Seconds,
        Option(
            flag="--gate-server-timeout",
            metavar="SECONDS",
            help="longest time for one attempt at a request to a served model (default: 120)",
        ),
    ] = 120.0
    server_prices: Annotated[
        Prices,
        Option(
            flag="--gate-server-prices",
            metavar="IN/OUT",
            help="prices of a million prompt and completion tokens of served models, to print the cost",
        ),
    ] = None
    model_id: Annotated[
        OptionalText,
        Option(
            flag="--gate-model-id",
            metavar="ID",
            help="your word for what a served model's weights are, such as a release: they are cached then",
        ),
    ] = None
    cache: Annotated[
        Switch, Option(flag="--gate-no-cache", help="neither read nor write cached answers and scores")
    ] = True
    fail_on: Annotated[
        FailOn,
        Option(
            flag="--gate-fail-on",
            metavar="|".join(FAIL_ON),
            help="fail on a regression, also on an inconclusive gate, or on any failed case "
            "(default: regress)",
        ),
    ] = "regress"
    confirm: Annotated[
        Times,
        Option(
            flag="--gate-confirm",
            metavar="N",
            help="resample the cases that make a regression N times on both sides; it has to show again "
            "(default: 0, don't)",
        ),
    ] = 0
    looks: Annotated[
        Looks,
        Option(
            flag="--gate-looks",
            metavar="N",
            help="judge up to N times while cases are answered, and stop where the verdict is known "
            "(default: 1, answer all)",
        ),
    ] = 1
    directory: Annotated[
        Text,
        Option(
            flag="--gate-directory",
            metavar="DIR",
            help="where history, cache and reports are stored (default: .tunegate)",
        ),
    ] = ".tunegate"
    history: Annotated[
        OptionalText,
        Option(
            flag="--gate-history",
            metavar="URL|PATH",
            help="where runs are stored: postgresql://USER@HOST/DATABASE, or a file "
            "(default: history.sqlite in --gate-directory)",
        ),
    ] = Field(default=None, repr=False)
    keep_runs: Annotated[
        KeptRuns,
        Option(
            flag="--gate-keep-runs",
            metavar="N,DAYSd",
            help="at the end remove older runs from the history: 200, 90d or 200,90d (default: keep all)",
        ),
    ] = None
    accept: Annotated[
        OptionalText,
        Option(
            flag="--gate-accept",
            metavar="NAME",
            help="unless it regressed, accept this run as the baseline NAME, in baselines/NAME.json",
        ),
    ] = None
    accept_reason: Annotated[
        OptionalText,
        Option(flag="--gate-accept-reason", metavar="TEXT", help="why, for the baseline's file"),
    ] = None
    accept_dirty: Annotated[
        Switch, Option(flag="--gate-accept-dirty", help="accept even a run with uncommitted changes")
    ] = False
    chat_template_kwargs: Annotated[
        TemplateValues,
        Option(
            flag="--gate-chat-template-kwargs",
            metavar="JSON",
            help='values for the models\' chat templates, such as {"enable_thinking": false}; '
            "a case's own win",
        ),
    ] = Field(default_factory=dict)
    allow_python_checks: Annotated[
        Switch, Option(flag="--gate-allow-python", help="let python checks run functions of this project")
    ] = False
    allow_code_checks: Annotated[
        Switch, Option(flag="--gate-allow-code", help="let code checks run the code that models write")
    ] = False
    track: Annotated[
        Trackers,
        Option(
            flag="--gate-track",
            metavar="NAME[:TARGET]",
            help="send the run to mlflow, wandb, tensorboard or trackio; may be repeated",
            repeated=True,
        ),
    ] = ()
    judge: Annotated[
        Judges,
        Option(
            flag="--gate-judge",
            metavar="SPEC",
            help="who judges: openai:MODEL@URL, local:MODEL or reward:DIR; "
            "repeated, a panel of an odd number",
            repeated=True,
        ),
    ] = ()
    judge_concurrency: Annotated[
        Positive,
        Option(
            flag="--gate-judge-concurrency",
            metavar="N",
            help="how many questions are sent to a judge at a time (default: 8)",
        ),
    ] = 8
    judge_timeout_s: Annotated[
        Seconds,
        Option(
            flag="--gate-judge-timeout",
            metavar="SECONDS",
            help="longest time for one attempt at a question (default: 60)",
        ),
    ] = 60.0
    judge_prices: Annotated[
        Prices,
        Option(
            flag="--gate-judge-prices",
            metavar="IN/OUT",
            help="prices of a million prompt and completion tokens, to print the cost of judging",
        ),
    ] = None

    @property
    def permissions(self) -> Permissions:
        """What checks may run."""
        return Permissions(python=self.allow_python_checks, code=self.allow_code_checks)


SETTINGS: Mapping[str, Option] = {
    name: next(each for each in field.metadata if isinstance(each, Option))
    for name, field in Settings.model_fields.items()
}


def allowed_values(name: str) -> str:
    """The allowed values of a setting, in words."""
    metadata = Settings.model_fields[name].metadata
    return next(each.text for each in metadata if isinstance(each, AllowedValues))


def environment_variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"TUNEGATE_{name.upper()}"


_LONGEST_FOUND = 200


def describe(error: ValidationError, source: str, value: object) -> str:
    """The first fault: its source, what was found, what is allowed.

    Args:
        error: The error of one or more settings.
        source: The option, variable or key of the first one.
        value: Its value.
    """
    first = error.errors()[0]
    allowed = str(first.get("ctx", {}).get("error", "")) or allowed_values(str(first["loc"][0]))
    if isinstance(value, tuple) and len(value) == 1:
        (value,) = value
    found = repr(value)
    if len(found) > _LONGEST_FOUND:
        found = f"{found[:_LONGEST_FOUND]}…"
    return f"{source}: found {found} (allowed: {allowed})"
