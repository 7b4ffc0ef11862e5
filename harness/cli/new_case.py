"""The dialogue of ``tunegate golden new``: from a prompt and a good answer to a case in the file."""

import contextlib
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.prompt import Prompt
from rich.text import Text

from harness.authoring.append import append_case, with_case
from harness.authoring.lint import lint_golden_set
from harness.authoring.offers import offer_checks, passes
from harness.authoring.render import case_text
from harness.errors import GoldenError, SettingsError
from harness.golden.checks import CHECK_TYPES, base_type
from harness.scoring import missing_extras
from harness.types import Check, Completion, GenerationSettings, GoldenCase, Message

Answerer = Callable[[Sequence[Message], GenerationSettings], str]

_LONGEST_ID = 40
# Stands in while a case has no checks of its own yet; it is never written.
_ANY_CHECK = {"type": "length", "min": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the command line already says; None is asked for."""

    prompt: str | None = None
    answer: str | None = None
    case_id: str | None = None
    checks: str | None = None
    tags: tuple[str, ...] = ()


def add_case(path: Path, model: str | None, given: Given) -> None:
    """Ask for what isn't given, show what comes of it, and append the case.

    Raises:
        InputError: The set or the model can't be used, or an answer is missing where nobody can be asked.
        typer.BadParameter: An option's value can't be used.
    """
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 # gives input() its arrow keys
    console = Console(highlight=False)
    tags = {"tags": list(given.tags)} if given.tags else {}
    # A broken set, or a taken id, is told before anything is typed or loaded.
    _preview(path, {"id": given.case_id or "tunegate-new-case", "prompt": "?", **tags})
    prompt = _text(given.prompt, "prompt", "What is the model asked?")
    case = _preview(path, {"id": given.case_id or "tunegate-new-case", "prompt": prompt, **tags})
    said = None
    if model is not None:
        with console.status(f"asking {model}"):
            said = model_answerer(model)(case.messages, case.generation)
        title = f"{model} answers"
        console.print(Panel(Text(said or "(nothing)"), title=title, title_align="left"))
    question = "What is a good answer?" if not said else "A good answer, or Enter to take this one"
    reference = _text(given.answer, "answer", question, default=said or None)
    offers = offer_checks(prompt, reference)
    if not offers:
        raise typer.BadParameter("no check tells this answer from an empty one: give another answer")
    console.print("Checks that this answer passes and an empty one fails:")
    for number, offer in enumerate(offers, start=1):
        console.print(Text(f"  {number}  {_line(offer)}{_remark(offer, prompt, said, reference)}"))
    chosen = _checks(given.checks, offers)
    case_id = given.case_id or _ask(
        "--id",
        "id",
        default=_free_id(path, prompt),
        check=lambda text: _preview(path, {"id": text, "prompt": prompt}),
    )
    new = {"id": case_id, "prompt": prompt, "references": [reference], "checks": chosen, **tags}
    golden_set = append_case(path, new)
    console.print(Text(case_text(new, "  ").rstrip("\n"), style="dim"), soft_wrap=True)
    added = golden_set.cases[-1]
    typer.echo(f"{path}: {len(golden_set.cases)} cases, {case_id} on line {added.line}")
    for finding in lint_golden_set(golden_set):
        if finding.case_id == case_id:
            typer.echo(str(finding), err=True)


def model_answerer(model: str) -> Answerer:
    """A function that answers as a model does; the model is loaded at the first call."""

    def answer(messages: Sequence[Message], settings: GenerationSettings) -> str:
        from harness.engines.base import CANDIDATE, GenerationRequest
        from harness.engines.open import open_engine

        completions: dict[int, Completion] = {}
        request = GenerationRequest(
            key="new case", side=CANDIDATE, messages=tuple(messages), settings=settings
        )
        open_engine(model).generate([request], completions.update)
        return completions[0].text

    return answer


def _preview(path: Path, case: Mapping[str, Any]) -> GoldenCase:
    """What a case would be in the set, with its system message and settings; nothing is written."""
    return with_case(path, {**case, "checks": [_ANY_CHECK]})[1].cases[-1]


def _text(given: str | None, option: str, question: str, default: str | None = None) -> str:
    """An option's text, standard input's where it is -, or what is typed."""
    if given == "-":
        given = sys.stdin.read().strip("\n")
    text = given if given is not None else _ask(f"--{option}", question, default=default, hidden=True)
    if not text.strip():
        raise typer.BadParameter(f"the {option} is empty")
    return text


def _ask(
    option: str,
    question: str,
    *,
    default: str | None = None,
    hidden: bool = False,
    check: Callable[[str], object] = lambda text: None,
) -> str:
    """Ask until the answer is good.

    Raises:
        SettingsError: Standard input has ended, and there is no default.
    """
    while True:
        try:
            text = Prompt.ask(question, default=default or "", show_default=bool(default) and not hidden)
        except EOFError:
            if default is None:
                raise SettingsError(f"{option} is missing, and standard input has ended") from None
            typer.echo("")
            return default
        if not text.strip():
            continue
        try:
            check(text)
        except (typer.BadParameter, GoldenError) as error:
            typer.echo(f"  {error}", err=True)
        else:
            return text


def _checks(given: str | None, offers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    text = given
    if text is None:
        text = _ask(
            "--checks", "Checks to take, such as 1,3", default="1", check=lambda t: _picked(offers, t)
        )
    return _picked(offers, text)


def _picked(offers: Sequence[dict[str, Any]], chosen: str) -> list[dict[str, Any]]:
    numbers = [part for part in re.split(r"[,\s]+", chosen) if part]
    if not numbers or any(not n.isdecimal() or not 1 <= int(n) <= len(offers) for n in numbers):
        raise typer.BadParameter(f"checks: found {chosen!r} (allowed: numbers from 1 to {len(offers)})")
    return [offers[number - 1] for number in dict.fromkeys(map(int, numbers))]


def _free_id(path: Path, prompt: str) -> str:
    """An id made of the prompt's last words, with a number when it is taken."""
    words = re.findall(r"[a-z0-9]+", prompt.lower())
    stem = "-".join(words[-4:])[:_LONGEST_ID].strip("-") or "case"
    for number in range(1, 10_000):
        case_id = stem if number == 1 else f"{stem}-{number}"
        with contextlib.suppress(GoldenError):
            _preview(path, {"id": case_id, "prompt": "?"})
            return case_id
    return stem


def _line(check: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in check.items() if key != "type"}
    return f"{check['type']} {json.dumps(rest, ensure_ascii=False) if rest else ''}".rstrip()


def _remark(check: Mapping[str, Any], prompt: str, said: str | None, reference: str) -> str:
    """What is worth knowing of an offer: that the model fails it, or that a library is missing."""
    kind = CHECK_TYPES[base_type(check["type"])]
    if kind.extra is not None:
        alone = GoldenCase(id="offer", set_name="offer", messages=(), checks=(Check(type=check["type"]),))
        return f"   (needs tunegate[{kind.extra}])" if missing_extras([alone]) else ""
    if said is not None and said != reference and not passes(check, prompt, said, [reference]):
        return "   (the model's answer fails it)"
    return ""
