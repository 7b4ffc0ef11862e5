"""The dialogue of ``tunegate judge label``: shows one item after the other and stores its label."""

import contextlib
import re
from collections import deque
from collections.abc import Sequence
from enum import Enum, auto

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from harness.judge.questions import as_text
from harness.labelling.items import LabelItem
from harness.labelling.journal import Journal
from harness.labelling.label import LabelValue, Preference
from tunegate.printable import say

_SINGLE = re.compile(r"(p|pass|f|fail)?([1-5])?")
_PAIR: dict[str, Preference] = {"a": "a", "b": "b", "t": "tie", "tie": "tie"}
_OTHER = "s skips, u goes back, x removes the label, q stops. A comment may follow after a space"
_HELP = {
    1: f"p passes, f fails, 1 to 5 grades (5 is best), p4 does both; {_OTHER}: p4 short and right",
    2: f"a or b is better, t is a tie; {_OTHER}: a it names the date",
}


class SessionEnd(Enum):
    """The end of a session."""

    DONE = auto()
    STOPPED = auto()
    INTERRUPTED = auto()


class LabelCommand(Enum):
    """Commands besides labels."""

    SKIP = auto()
    BACK = auto()
    WITHDRAW = auto()
    QUIT = auto()


_MOVES = {
    "s": LabelCommand.SKIP,
    "skip": LabelCommand.SKIP,
    "u": LabelCommand.BACK,
    "undo": LabelCommand.BACK,
    "back": LabelCommand.BACK,
    "x": LabelCommand.WITHDRAW,
    "q": LabelCommand.QUIT,
    "quit": LabelCommand.QUIT,
}


def label_items(items: Sequence[LabelItem], journal: Journal, who: str, console: Console) -> SessionEnd:
    """Ask a person about every item that they have not labelled yet.

    Going back shows the item before with its label, which stays until another one replaces it.

    Args:
        items: The items, in this order.
        journal: Where labels are stored.
        who: The person's name.
        console: The terminal.

    Raises:
        DataError: A label can't be saved.
    """
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 # gives input() its arrow keys
    by_id = {item.id: item for item in items}
    said = journal.current(who)
    behind = [by_id[item_id] for item_id in said if item_id in by_id]
    ahead = deque(item for item in items if item.id not in said)
    try:
        while ahead or _back_at_the_end(behind):
            if not ahead:
                ahead.append(behind.pop())
            item = ahead[0]
            label = journal.current(who).get(item.id)
            _show(console, item, f"{len(items) - len(ahead) + 1} of {len(items)}")
            if label is not None and label.said is not None:
                console.print(Text(f"so far: {describe(label.said)}; Enter keeps it"))
            answer = _ask(item, labelled=label is not None)
            if answer is LabelCommand.QUIT:
                return SessionEnd.STOPPED
            if answer is LabelCommand.BACK:
                if behind:
                    ahead.appendleft(behind.pop())
                else:
                    console.print("this is the first one")
                continue
            if answer is LabelCommand.WITHDRAW:
                if label is not None:
                    journal.add(item, None, who)
                    console.print("taken back")
                continue
            if isinstance(answer, LabelValue):
                journal.add(item, answer, who)
                console.print(Text(f"saved: {describe(answer)}"))
            behind.append(ahead.popleft())
    except KeyboardInterrupt:
        say("")
        return SessionEnd.INTERRUPTED
    return SessionEnd.DONE


def parse_line(line: str, answers: int) -> LabelValue | LabelCommand | None:
    """The meaning of a typed line for one answer, or for two; None if it has none.

    Args:
        line: The typed line.
        answers: 1 or 2.
    """
    word, _, comment = line.strip().partition(" ")
    word, comment = word.lower(), comment.strip()
    if word in _MOVES:
        return None if comment else _MOVES[word]
    if answers == 2:
        return LabelValue(preference=_PAIR[word], comment=comment) if word in _PAIR else None
    found = _SINGLE.fullmatch(word)
    if not word or found is None:
        return None
    thumb, grade = found.groups()
    return LabelValue(
        passed=None if thumb is None else thumb.startswith("p"),
        grade=None if grade is None else int(grade),
        comment=comment,
    )


def describe(said: LabelValue) -> str:
    """A label in words."""
    parts = []
    if said.passed is not None:
        parts.append("pass" if said.passed else "fail")
    if said.grade is not None:
        parts.append(f"grade {said.grade}")
    if said.preference is not None:
        parts.append("tie" if said.preference == "tie" else f"{said.preference.upper()} is better")
    return ", ".join(parts) + (f" ({said.comment})" if said.comment else "")


def _back_at_the_end(behind: Sequence[LabelItem]) -> bool:
    """Whether the person goes back to the last one."""
    if not behind:
        return False
    try:
        line = input("that was the last one; u goes back, Enter ends > ")
    except EOFError:
        say("")
        return False
    return _MOVES.get(line.strip().lower()) is LabelCommand.BACK


def _ask(item: LabelItem, *, labelled: bool) -> LabelValue | LabelCommand:
    keys = "p f 1-5" if len(item.answers) == 1 else "a b t"
    while True:
        try:
            line = input(f"{keys} | s u q ? > ")
        except EOFError:
            say("")
            return LabelCommand.QUIT
        if not line.strip() and labelled:
            return LabelCommand.SKIP
        found = parse_line(line, len(item.answers))
        if found is not None:
            return found
        say(_HELP[len(item.answers)])


def _show(console: Console, item: LabelItem, place: str) -> None:
    """Show the question, what a good answer is, and the answers, but not where they are from."""
    console.rule(place)
    _box(console, "asked", as_text(item.messages))
    wanted = item.wanted
    for title, text in (("a good answer", wanted.rubric), ("wanted tone", wanted.tone)):
        if text is not None:
            _box(console, title, text)
    for reference in wanted.references:
        _box(console, "a right answer", reference)
    titles = ("answer",) if len(item.answers) == 1 else ("A", "B")
    for title, text in zip(titles, item.answers, strict=True):
        _box(console, title, text or "(nothing)")


def _box(console: Console, title: str, text: str) -> None:
    console.print(Panel(Text(text), title=title, title_align="left"))
