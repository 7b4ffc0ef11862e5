"""``tunegate parity``: does the shipped model behave like the tested one?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from harness.cli.kept import kept_in, open_cache
from harness.cli.options import (
    BaseOption,
    DirectoryOption,
    ForgettingOption,
    GoldenOption,
    ModelIdOption,
    ServerArgsOption,
    ServerConcurrencyOption,
    ServerTimeoutOption,
    TemplateValuesOption,
)
from harness.cli.permissions import check_permissions
from harness.cli.progress import current_stage_bar
from harness.cli.prompting import asking_settings
from harness.engines.open import describe_model
from harness.golden.load import load_gate_sets
from harness.presentation.console import open_console
from harness.presentation.sentences import sentence_of
from harness.types import GateVerdict, Interval
from tunegate.exit_status import ExitStatus

if TYPE_CHECKING:
    from harness.studies.parity import Parity


# What a server answers now is the question.
_FORGOTTEN = "finished answers are kept, but for those of servers, which the same command asks for anew"


def parity(
    model: Annotated[str, typer.Option(help="The adapter, or a whole model.")],
    plans: Annotated[
        str | None,
        typer.Option(
            help="Plans, the tested one first: peft, merged, nf4, bf16, fp16, merged-bf16, or who serves it: "
            "openai:MODEL@URL, vllm, vllm:URL.",
            show_default="peft,merged,nf4,bf16, without merged where nothing can be merged",
        ),
    ] = None,
    golden: GoldenOption = None,
    forgetting: ForgettingOption = True,
    base: BaseOption = None,
    chat_template_kwargs: TemplateValuesOption = None,
    noise: Annotated[
        bool,
        typer.Option(
            "--noise", help="Ask low precision and servers again, in other batches: what that changes."
        ),
    ] = False,
    server_args: ServerArgsOption = None,
    server_concurrency: ServerConcurrencyOption = None,
    server_timeout_s: ServerTimeoutOption = None,
    model_id: ModelIdOption = None,
    directory: DirectoryOption = None,
) -> None:
    """Run one model with several plans and compare every two; exit status 1 if one is worse than the first.

    Merging an adapter into its base, 4-bit weights and lower precision all change answers a little. This
    shows how much, on your cases: which verdicts flip, how many answers stay the same, and whether the gate
    would pass.
    """
    from harness.studies import parity as study
    from harness.studies import parity_plans as known

    given = (server_args, server_concurrency, server_timeout_s, model_id)
    serving = dict(zip(known.SERVER_SETTINGS, given, strict=True))
    asking = asking_settings(chat_template_kwargs, base, **serving)
    found = describe_model(model, asking.base)
    names = known.usual_plans(found) if plans is None else known.check_plans(known.split_plans(plans))
    known.refuse_idle(serving, names)
    sets = load_gate_sets(golden or None, forgetting=forgetting)
    study.refuse_unsendable_cases(names, found, sets, asking.chat_template_kwargs)
    with open_cache(kept_in(directory) / "cache.sqlite") as cache, current_stage_bar() as on_progress:
        cache.forgets = _FORGOTTEN if any(map(known.is_served, names)) else ""
        results = study.measure_parity(
            found,
            names,
            sets,
            on_progress,
            cache=cache,
            allowed=check_permissions([case for each in sets for case in each.cases]),
            with_noise=noise,
            serving=asking,
        )
    _show(found.label, results)
    # The first is the tested one; differences between two others are for information.
    tested = [result for result in results if result.against == names[0] and not result.is_noise]
    if any(result.verdict.outcome is GateVerdict.REGRESS for result in tested):
        raise typer.Exit(ExitStatus.FAILED)


def _show(title: str, results: "Sequence[Parity]") -> None:
    """Print a row a pair, and why one isn't a pass."""
    table = Table(
        *("plan", "against", "verdict", "flipped cases", "same answer", "largest log-probability change"),
        title=title,
        title_justify="left",
        box=None,
    )
    for result in results:
        table.add_row(
            result.plan,
            "itself, in other batches" if result.is_noise else result.against,
            str(result.verdict.outcome),
            _share(result.flips),
            _share(result.same_text),
            "–" if result.largest_logprob_change is None else f"{result.largest_logprob_change:.3g}",
        )
    console = open_console()
    console.print(table)
    for name, first in dict.fromkeys((s, each.against) for each in results for s in each.nothing_to_forget):
        console.print(
            f"{name}: {first} passes none of its probes, so that nothing can be forgotten: it has no part in "
            f"verdicts against {first} (--no-forgetting leaves it out)"
        )
    for result in results:
        if result.verdict.outcome is not GateVerdict.PASS and not result.is_noise:
            console.print(
                f"{result.plan} against {result.against}: {sentence_of(result.verdict.findings[0])}"
            )


def _share(value: Interval | None) -> str:
    return "–" if value is None else f"{value.estimate:.1%} [{value.low:.1%}, {value.high:.1%}]"
