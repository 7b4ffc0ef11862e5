"""``tunegate data check FILE``: what is in training data, before it is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console
from rich.text import Text

from harness.errors import PromptError, SettingsError
from harness.models.resolve import resolve_model
from harness.presentation.console import open_console
from trainers.config import TrainingConfig, template_place
from trainers.data.leakage import find_golden
from trainers.data.learnt_tokens import Learn
from trainers.data.rows import repeated_title
from trainers.inspection.findings import (
    KIND_OF_METHOD,
    Copies,
    Leaks,
    Lengths,
    Place,
    ReadData,
    copies_in,
    leaks_in,
    lengths_of,
    read_data,
    words_in,
)
from trainers.inspection.masked_example import Part, RenderedRow, plain_parts, rendered
from tunegate.exit_status import ExitStatus

app = typer.Typer(help="Training data: check it before it is trained on.", no_args_is_help=True)

# A row's place, and why the base's template refuses it.
_Refused: TypeAlias = tuple[Place, str]
_SHOWN = 3
_STYLES = {"prompt": "dim", "learnt": "green", "rejected": "red"}
# Without colours.
_MARKS = {"prompt": ("", ""), "learnt": ("⟦", "⟧"), "rejected": ("⟪", "⟫")}


@app.callback()
def _group() -> None:
    """Training data: check it before it is trained on."""


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(help="Data files, or data sets of the hub (hf:ORG/NAME).")],
    method: Annotated[
        str | None, typer.Option(help="Method that will read them; by default what the first row fits.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Base model: lengths in its tokens, and its chat template.")
    ] = None,
    chat_template: Annotated[
        str | None, typer.Option(help="Chat template in place of the base's: a .jinja file, or a name.")
    ] = None,
    learn: Annotated[str, typer.Option(help="Answers that are learnt: last, or all.")] = "last",
    max_length: Annotated[int, typer.Option(min=8, help="Most tokens of a row.")] = 1024,
    golden: Annotated[
        list[Path] | None, typer.Option(help="Golden sets to look for; by default ./golden_sets.")
    ] = None,
    row: Annotated[int, typer.Option(min=1, help="The row that is shown, counted from 1.")] = 1,
) -> None:
    """Print lengths, copies, golden cases, and one row with what is learnt of it.

    The exit status is 1 if a row can't be trained on, or a golden case is in the data.
    """
    if learn not in {"last", "all"}:
        raise SettingsError(f"--learn: found {learn!r} (allowed: last, all)")
    learnt: Learn = "all" if learn == "all" else "last"
    data = read_data([Path(file) for file in files], _kind(method), learnt)
    rows = len(data.examples.rows)
    if row > max(rows, 1):
        raise SettingsError(f"--row: found {row} (allowed: 1 to {rows})")
    sets, asked = find_golden(golden), _open_base(base, chat_template)
    console = open_console(soft_wrap=True, markup=False)
    _print_rows(console, data)
    failed = bool(data.invalid)
    if rows:
        made, refused = (None, []) if asked is None else _rendered(data, asked, learnt)
        failed = bool(_print_lengths(console, data, made, refused, max_length)) or failed
        if asked is not None and data.kind not in {"texts", "prompts"}:
            _print_end(console, asked)
        _print_copies(console, copies_in(data.examples))
        failed = _print_leaks(console, leaks_in(data.examples, sets)) or failed
        _print_example(console, data, made, learnt, row)
    raise typer.Exit(int(ExitStatus.FAILED) if failed else 0)


def _kind(method: str | None) -> str | None:
    if method is not None and method not in KIND_OF_METHOD:
        raise SettingsError(f"--method: found {method!r} (allowed: {', '.join(KIND_OF_METHOD)})")
    return None if method is None else KIND_OF_METHOD[method]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """The base that the rows are rendered for."""

    tokenizer: Any
    config: TrainingConfig
    ends: set[int]


def _open_base(base: str | None, chat_template: str | None) -> _Base | None:
    if base is None:
        if chat_template is not None:
            raise SettingsError("--chat-template: needs --base, whose tokenizer it is rendered for")
        return None
    from trainers.run.chat_template import load_tokenizer, stored_ends

    config = TrainingConfig(
        base=base,
        output=Path(),
        data=(Path(),),
        chat_template=template_place(chat_template),  # type: ignore[arg-type] # validated by the class
    )
    directory = resolve_model(base)
    tokenizer = load_tokenizer(directory, config)
    return _Base(tokenizer=tokenizer, config=config, ends=stored_ends(directory, tokenizer))


def _rendered(data: ReadData, base: _Base, learn: Learn) -> tuple[list[RenderedRow | None], list[_Refused]]:
    """Each row with the base's template, None for one that it refuses; and the refusals."""
    made: list[RenderedRow | None] = []
    refused: list[_Refused] = []
    for one, place in zip(data.examples.rows, data.examples.places, strict=True):
        try:
            made.append(rendered(one, data.kind, base.tokenizer, base.config, learn))
        except PromptError as error:
            made.append(None)
            refused.append((place, str(error)))
    return made, refused


def _print_rows(console: Console, data: ReadData) -> None:
    forms = ", ".join(f"{count} with {form}" for form, count in sorted(data.forms.items()))
    console.print(f"rows        {len(data.examples.rows)} of {data.kind}" + (f": {forms}" if forms else ""))
    if data.examples.repeated:
        console.print(f"fields      {repeated_title(data.examples.repeated)}")
    if data.unread:
        fields = ", ".join(f"{name} ({count})" for name, count in data.unread.items())
        console.print(
            f"not read    {fields}: a text is learnt alone; for questions and answers give --method"
        )
    for error in data.invalid[:_SHOWN]:
        console.print(f"invalid     {error}")
    if len(data.invalid) > _SHOWN:
        console.print(f"invalid     and {len(data.invalid) - _SHOWN} more rows")


def _print_lengths(
    console: Console,
    data: ReadData,
    made: Sequence[RenderedRow | None] | None,
    refused: Sequence[_Refused],
    limit: int,
) -> int:
    """Print how long rows are; returns how many the base's template refuses."""
    places = data.examples.places
    if made is None:
        sizes = [words_in(one) for one in data.examples.rows]
        found = lengths_of(sizes, places, "words", limit)
        console.print(f"lengths     {_told(found)}; --base counts the tokens of a model")
        return 0
    pairs = [(one, place) for one, place in zip(made, places, strict=True) if one is not None]
    if pairs:
        found = lengths_of([one.tokens for one, _ in pairs], [place for _, place in pairs], "tokens", limit)
        over = f"; {found.over} longer than {limit}" if found.over else f"; all fit into {limit}"
        console.print(f"lengths     {_told(found)}{over if data.kind != 'texts' else ''}")
        if data.kind != "prompts":
            console.print(f"learnt      {sum(one.learnt for one, _ in pairs)} tokens")
    for place, problem in refused[:_SHOWN]:
        console.print(f"refused     {_at(place)}: {problem}")
    if len(refused) > _SHOWN:
        console.print(f"refused     and {len(refused) - _SHOWN} more rows")
    return len(refused)


def _told(found: Lengths) -> str:
    longest, place = found.most
    return f"{found.unit}: median {found.median}, 95 % up to {found.high}, longest {longest} ({_at(place)})"


def _print_end(console: Console, base: _Base) -> None:
    from trainers.run.chat_template import end_problem

    if (problem := end_problem(base.tokenizer, base.config, base.ends)) is not None:
        console.print(f"end         {problem}")


def _print_copies(console: Console, found: Copies) -> None:
    if not found.same and not found.asked:
        console.print("duplicates  none")
    for pairs, one, several in (
        (found.same, "row repeats an earlier one", "rows repeat an earlier one"),
        (found.asked, "row asks the same, with another answer", "rows ask the same, with another answer"),
    ):
        if pairs:
            shown = ", ".join(f"{_at(place)} as {_at(earlier)}" for place, earlier in pairs[:_SHOWN])
            more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
            what = one if len(pairs) == 1 else several
            console.print(f"duplicates  {len(pairs)} {what}: {shown}{more}")


def _print_leaks(console: Console, found: Leaks) -> bool:
    """Print the golden cases in the data; returns whether there are any."""
    if not found.cases:
        console.print("leakage     no golden set to look for; --golden names one")
        return False
    skipped = f" (embeddings skipped: {found.skipped})" if found.skipped else ""
    cases = {leak.case for leak in found.found}
    console.print(f"leakage     {len(cases) or 'none'} of {found.cases} golden cases in the data{skipped}")
    for leak in found.found[:_SHOWN]:
        console.print(f"leakage     {leak}")
    return bool(cases)


def _print_example(
    console: Console, data: ReadData, made: Sequence[RenderedRow | None] | None, learn: Learn, row: int
) -> None:
    rows, places = data.examples.rows, data.examples.places
    one = None if made is None else made[row - 1]
    samples = [plain_parts(rows[row - 1], learn)] if one is None else one.samples
    key = (
        "learnt green, rejected red"
        if console.is_terminal and not console.no_color
        else "⟦learnt⟧ ⟪rejected⟫"
    )
    console.print(f"example     {_at(places[row - 1])} ({key})")
    for parts in samples:
        console.print(_marked(parts, colour=console.is_terminal and not console.no_color))


def _marked(parts: Sequence[Part], *, colour: bool) -> Text:
    text = Text()
    for part in parts:
        begin, end = ("", "") if colour else _MARKS[part.mark]
        text.append(f"{begin}{part.text}{end}", style=_STYLES[part.mark])
    return text


def _at(place: Place) -> str:
    return f"{place[0]}:{place[1]}"
