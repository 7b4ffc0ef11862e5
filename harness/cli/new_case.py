"""The dialogue of ``tunegate golden new``: from a prompt and a good answer to a case in the file."""

import contextlib
import itertools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from harness.authoring.append import append_case, cases_of_last, with_case
from harness.authoring.lint import lint_golden_set
from harness.authoring.offers import Question, offer_checks, passes
from harness.authoring.render import case_text, flow_text
from harness.cli.ask import ask, text_of
from harness.cli.case_keys import ask_keys
from harness.cli.prompting import asking_settings
from harness.errors import GoldenError, SettingsError
from harness.golden.schema import CHECK_TYPES, base_type
from harness.golden.variables import combinations, fill, read_if_file
from harness.metrics.call_json import CallError
from harness.metrics.libraries import missing_extras
from harness.presentation.console import open_console, visible_text
from harness.types import Check, Completion, GenerationSettings, GoldenCase, GoldenSet, Message
from harness.types.storage import why_unwritable
from tunegate.printable import say

Answerer = Callable[[Sequence[Message], GenerationSettings], Completion]

_LONGEST_ID = 40
_UNNAMED = "tunegate-new-case"
# A placeholder while a case has no checks yet; it is never written.
_ANY_CHECK = {"type": "length", "min": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseInput:
    """Values of the command line; those that are None are asked for."""

    prompt: str | None = None
    answer: str | None = None
    case_id: str | None = None
    checks: str | None = None
    tags: tuple[str, ...] = ()
    cluster: str | None = None
    system: str | None = None
    further: Mapping[str, Any] = field(default_factory=dict)
    own_checks: tuple[dict[str, Any], ...] = ()

    @property
    def is_dialogue(self) -> bool:
        """Whether a person is asked for the case, and not only for what a script left out."""
        return self.prompt is None and not self.has_conversation

    @property
    def has_conversation(self) -> bool:
        """Whether messages or turns replace the prompt."""
        return bool({"messages", "turns"} & set(self.further))

    @property
    def keys(self) -> dict[str, Any]:
        """The case's keys besides prompt, answer, id and offered checks."""
        given = {"system": self.system, "tags": list(self.tags), "cluster": self.cluster}
        return {**{key: value for key, value in given.items() if value}, **self.further}


def add_cases(path: Path, model: str | None, given: CaseInput) -> None:
    """Ask for missing values, show the result and append the case; in a dialogue, then for another one.

    Args:
        path: The golden set's file.
        model: A model whose answers are shown, or None.
        given: The command's options.

    Raises:
        InputError: The set, the model or an option is invalid, or nobody answers.
    """
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 # gives input() its arrow keys
    # What can't be written, an invalid set or an existing id is reported before the model is looked for.
    try:
        problem = why_unwritable(path)
    except OSError as error:
        problem = f"can't be written: {error.strerror or error}"
    if problem is not None:
        raise GoldenError(path, None, "", problem, "the path of a file to write")
    if given.prompt is not None and given.has_conversation:
        raise SettingsError("--prompt: messages or turns are given with --set (allowed: one of the three)")
    asked = {} if given.has_conversation else {"prompt": "?"}
    checks = [*(given.own_checks or [_ANY_CHECK]), *given.further.get("checks", ())]
    with_case(path, {"id": given.case_id or _UNNAMED, **asked, **given.keys, "checks": checks})
    answerer = None if model is None else model_answerer(model)
    _add_case(path, model, answerer, given)
    while given.is_dialogue and ask(
        "", "Another case? y, or Enter to end:", default=""
    ).strip().lower().startswith("y"):
        _add_case(path, model, answerer, replace(given, case_id=None))


def _add_case(path: Path, model: str | None, answerer: Answerer | None, given: CaseInput) -> None:
    console = open_console()

    def preview(keys: Mapping[str, Any], case_id: str = _UNNAMED) -> tuple[GoldenCase, ...]:
        """The new cases, without checks of their own; nothing is written."""
        return cases_of_last(with_case(path, {"id": case_id, "checks": [_ANY_CHECK], **keys})[1])

    name = given.case_id or _UNNAMED
    keys: dict[str, Any] = {**given.keys}
    if not given.has_conversation:
        keys["prompt"] = text_of(
            given.prompt,
            "prompt",
            "What is the model asked?",
            check=lambda text: preview({**keys, "prompt": text}, name),
        )
    if given.is_dialogue:
        keys = _conversation(keys, ask_keys(lambda more: preview(_conversation(keys, more), name)))
    cases = preview(keys, name)
    said = None if answerer is None else _said(console, str(model), answerer, cases[0])
    question = _question(path, keys, cases)
    own = [*given.own_checks, *keys.pop("checks", ())]
    if not own or given.answer is not None or given.is_dialogue:
        own = [*own, *_offered(console, given, keys, question, said, has_checks=bool(own))]
    taken = {case.id for case in with_case(path, {"id": name, "checks": [_ANY_CHECK], **keys})[1].cases}
    proposed = _free_id(question.prompt, taken)
    case_id = given.case_id or ask(
        "--id",
        f"Id, or Enter for {proposed}:",
        default=proposed,
        check=lambda text: preview(keys, text),
    )
    further = _further(given, lambda more: preview({**keys, **more}, case_id))
    first = [key for key in ("prompt", "messages", "turns", "references") if key in keys]
    ordered = {key: keys[key] for key in (*first, *(key for key in keys if key not in first))}
    new = {"id": case_id, **ordered, "checks": own, **further}
    golden_set = append_case(path, new)
    console.print(Text(case_text(new, "  ").rstrip("\n"), style="dim"), soft_wrap=True)
    _say_what_was_added(path, golden_set)


def _conversation(keys: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Keys with further ones; turns go on from the prompt that was asked for, messages end with it."""
    found = {**keys, **more}
    prompt = found.get("prompt")
    if prompt is None or not {"turns", "messages"} & set(found):
        return found
    del found["prompt"]
    if "turns" in found:
        return {**found, "turns": [{"user": prompt}, *found["turns"]]}
    return {**found, "messages": [*found["messages"], {"role": "user", "content": prompt}]}


def _said(console: Console, model: str, answerer: Answerer, case: GoldenCase) -> str:
    """The model's answer to a case, or to its last turn; all of its answers are shown."""
    messages = case.messages
    for turn in (*case.turns[1:], None):
        with console.status(f"asking {model}"):
            completion = answerer(messages, case.generation)
        is_cut = completion.stop_reason == "length"
        cut = f", cut after {completion.completion_tokens} tokens (max_new_tokens)" if is_cut else ""
        shown = Text(completion.text or "(nothing)")
        console.print(Panel(shown, title=f"{model} answers{cut}", title_align="left"))
        if turn is not None:
            answer = Message(role="assistant", content=completion.text)
            messages = (*messages, answer, Message(role="user", content=turn.content))
    return completion.text


def _question(path: Path, keys: Mapping[str, Any], cases: Sequence[GoldenCase]) -> Question:
    """What the case asks last, with its tools and its variables."""
    last = cases[0].turns[-1].content if cases[0].turns else cases[0].messages[-1].content
    fills = [
        partial(
            fill,
            variables={
                name: read_if_file(value, path.parent) if isinstance(value, str) else value
                for name, value in one.variables.items()
            },
            directory=path.parent,
        )
        for one in combinations("case", keys.get("vars", {}))
    ]
    return Question(prompt=keys.get("prompt", last), tools=cases[0].generation.tools, fills=tuple(fills))


def _offered(
    console: Console,
    given: CaseInput,
    keys: dict[str, Any],
    question: Question,
    said: str | None,
    *,
    has_checks: bool,
) -> list[dict[str, Any]]:
    """The checks that are chosen for a good answer, which becomes the reference."""
    told = "A good answer, or Enter to take this one:" if said else "What is a good answer?"
    if question.tools:
        tool = cast("Any", question.tools[0])["function"]["name"]
        told += f' A call of a tool as {{"name": "{tool}", "arguments": {{…}}}}.'
    answer = text_of(
        given.answer, "answer", told, default=said or None, check=lambda text: _offers(question, text)
    )
    keys["references"] = [answer, *keys.get("references", ())]
    if has_checks and given.checks is None:
        return []
    offers = _offers(question, answer)
    console.print("Checks that this answer passes and an empty one fails:")
    console.print(_table(offers, lambda offer: _remark(offer, question, said, answer)))
    return _chosen(given.checks, offers)


def _say_what_was_added(path: Path, golden_set: GoldenSet) -> None:
    added = cases_of_last(golden_set)
    total = len(golden_set.cases)
    names = added[0].id if len(added) == 1 else f"{len(added)} cases, {added[0].id} to {added[-1].id}"
    say(f"{path}:{added[0].line}: added {names}, {total} case{'' if total == 1 else 's'} now")
    for finding in lint_golden_set(golden_set):
        if finding.case_id in {case.id for case in added}:
            say(str(finding), err=True)


def _further(given: CaseInput, check: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Keys that a dialogue asks for besides: system message, tags and cluster; each may stay empty."""
    if not given.is_dialogue:
        return {}
    found: dict[str, Any] = {}
    if given.system is None:
        question = "System message, or Enter for the set's own or none:"
        if system := ask("--system", question, default="", check=lambda text: check({"system": text})):
            found["system"] = system
    if not given.tags:
        question = "Tags, such as extraction numbers, or Enter for none:"
        tags = ask("--tag", question, default="", check=lambda text: check({"tags": _words(text)}))
        found |= {"tags": _words(tags)} if _words(tags) else {}
    if given.cluster is None:
        question = "Cluster, a name shared by cases that are variants of one another, or Enter for none:"
        if cluster := ask("--cluster", question, default=""):
            found["cluster"] = cluster
    return found


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", text) if word]


def model_answerer(model: str) -> Answerer:
    """A function that answers with a model as a gate of this project would ask it.

    The model is loaded at the first call.

    Raises:
        InputError: There is no such model.
    """
    from harness.engines.one_model import open_engine
    from harness.engines.open import describe_model

    asking = asking_settings(None, None)
    describe_model(model, asking.base)

    def answer(messages: Sequence[Message], settings: GenerationSettings) -> Completion:
        from harness.engines.base import CANDIDATE, GenerationRequest

        completions: dict[int, Completion] = {}
        values = {**asking.chat_template_kwargs, **settings.chat_template_kwargs}
        request = GenerationRequest(
            key="new case",
            side=CANDIDATE,
            messages=tuple(messages),
            settings=replace(settings, chat_template_kwargs=values),
        )
        open_engine(model, asking.base).generate([request], completions.update)
        return completions[0]

    return answer


def _offers(question: Question, answer: str) -> list[dict[str, Any]]:
    try:
        offers = offer_checks(question, answer)
    except CallError as error:
        raise SettingsError(f"the call can't be read: {error}") from error
    if not offers:
        raise SettingsError("no check distinguishes this answer from an empty one: give another answer")
    return offers


def _chosen(given: str | None, offers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    text = given
    if text is None:
        question = "Which of them, such as 1,3? Enter takes 1:"
        text = ask("--checks", question, default="1", check=lambda typed: _picked(offers, typed))
    return _picked(offers, text)


def _picked(offers: Sequence[dict[str, Any]], chosen: str) -> list[dict[str, Any]]:
    numbers = [part for part in re.split(r"[,\s]+", chosen) if part]
    if not numbers or any(not n.isdecimal() or not 1 <= int(n) <= len(offers) for n in numbers):
        raise SettingsError(f"--checks: found {chosen!r} (allowed: numbers from 1 to {len(offers)})")
    return [offers[number - 1] for number in dict.fromkeys(map(int, numbers))]


def _free_id(prompt: str, taken: Collection[str]) -> str:
    """An id made from the prompt's last words, with a number if it exists already."""
    words = re.findall(r"[a-z0-9]+", prompt.lower())
    stem = "-".join(words[-4:])[:_LONGEST_ID].strip("-") or "case"
    candidates = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    return next(candidate for candidate in candidates if candidate not in taken)


def _table(offers: Sequence[dict[str, Any]], remark: Callable[[dict[str, Any]], str]) -> Table:
    """Numbered offers as they will be in the file, each with its remark, or else its meaning."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", min_width=3)
    table.add_column(overflow="fold", ratio=3)
    table.add_column(ratio=2)
    for number, offer in enumerate(offers, start=1):
        note = remark(offer)
        meaning = CHECK_TYPES[base_type(offer["type"])].summary
        table.add_row(
            str(number),
            visible_text(Text(flow_text(offer))),
            visible_text(Text(note, style="yellow")) if note else Text(meaning, style="dim"),
        )
    return table


def _remark(check: Mapping[str, Any], question: Question, said: str | None, answer: str) -> str:
    """A remark on an offer: that the model fails it, or that a library is missing."""
    kind = CHECK_TYPES[base_type(check["type"])]
    if kind.extra is not None:
        alone = GoldenCase(id="offer", set_name="offer", messages=(), checks=(Check(type=check["type"]),))
        return f"needs pip install 'tunegate[{kind.extra}]'" if missing_extras([alone]) else ""
    if said is not None and said != answer and not passes(check, question, said, [answer]):
        return "the model's answer fails it"
    return ""
