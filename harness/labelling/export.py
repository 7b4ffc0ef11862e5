"""Exports labels: labelled items for judges, pairs and thumbs for trainers."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeAlias

from harness.authoring.append import name_of
from harness.authoring.render import case_text, flow_text
from harness.errors import DataError
from harness.judge.questions import as_text
from harness.labelling.label import Label
from harness.types import Message
from harness.types.storage import write_whole

Row: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["calibration", "pairs", "thumbs"]

_NO_COMMENT = "Labelled without a comment."


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The content of an exported file.

    Attributes:
        rows: Its items or lines.
        left_out: Number of labels (or of answers that people disagree about) that are left out, by reason.
        raters: The people who labelled.
    """

    rows: tuple[Row, ...]
    left_out: Mapping[str, int]
    raters: tuple[str, ...]


def export_labels(kind: Kind, labels: Sequence[Label]) -> Export:
    """The current labels in one of the three forms.

    Args:
        kind: The form that is wanted.
        labels: The labels that were not taken back.

    Returns:
        The rows, and how many labels were left out for which reason.
    """
    makers: dict[Kind, Callable[[Sequence[Label], Counter[str]], list[Row]]] = {
        "calibration": _calibration,
        "pairs": _pairs,
        "thumbs": _thumbs,
    }
    left_out: Counter[str] = Counter()
    usable = [label for label in labels if _writable(label)]
    if len(usable) < len(labels):
        left_out["the prompt is empty, or a text can't be written as UTF-8"] = len(labels) - len(usable)
    rows = makers[kind](usable, left_out)
    raters = tuple(dict.fromkeys(label.who for label in labels))
    return Export(rows=tuple(rows), left_out=dict(left_out), raters=raters)


def _calibration(labels: Sequence[Label], left_out: Counter[str]) -> list[Row]:
    """An item for each judgement of a person, if a judge can answer the same question."""
    rows: list[Row] = []
    taken: Counter[str] = Counter()
    for label in labels:
        answers = label.item.answers
        found = questions_of(label)
        if label.said is not None and label.said.grade is not None and not label.item.wanted.references:
            left_out["a grade needs a reference"] += 1
        elif not found:
            left_out["neither rubric nor reference"] += 1
        for task, value, wanted in found:
            name = f"{label.item.id}-{task}"
            taken[name] += 1
            rows.append(
                {
                    "id": name if taken[name] == 1 else f"{name}-{taken[name]}",
                    "task": task,
                    "question": as_text(label.item.messages),
                    **wanted,
                    **(
                        {"answer": answers[0]}
                        if len(answers) == 1
                        else dict(zip(("answer_a", "answer_b"), answers, strict=True))
                    ),
                    "label": value,
                    "reason": _reason(label),
                    **({"tags": list(label.item.tags)} if label.item.tags else {}),
                    "cluster": _cluster(label.item.messages),
                    "rater": label.who,
                    "labelled_at": label.at,
                }
            )
    return rows


def questions_of(label: Label) -> list[tuple[str, str | int, Row]]:
    """A label as answers to a judge's questions.

    A thumb judges the rubric, else the references' facts, else the tone; a grade judges the references.

    Returns:
        The judge's question, the label, and the rubric, references or tone; several if a label has several
        values.
    """
    said, wanted = label.said, label.item.wanted
    assert said is not None
    if said.preference is not None:
        rubric = {} if wanted.rubric is None else {"rubric": wanted.rubric}
        return [("pairwise", said.preference, rubric)]
    found: list[tuple[str, str | int, Row]] = []
    reference = {"reference": "\n\n".join(wanted.references)} if wanted.references else {}
    if said.passed is not None:
        thumb = "pass" if said.passed else "fail"
        if wanted.rubric is not None:
            found.append(("rubric", thumb, {"rubric": wanted.rubric}))
        elif reference:
            found.append(("factuality", thumb, reference))
        elif wanted.tone is not None:
            found.append(("tone", thumb, {"rubric": wanted.tone}))
    if said.grade is not None and reference:
        found.append(("reference", said.grade, reference))
    return found


def _thumbs(labels: Sequence[Label], left_out: Counter[str]) -> list[Row]:
    votes: dict[tuple[tuple[Message, ...], str], int] = {}
    for label in labels:
        assert label.said is not None
        if label.said.passed is None:
            left_out["no thumb was given"] += 1
        elif not label.item.answers[0].strip():
            left_out["the answer is empty"] += 1
        else:
            key = (label.item.messages, label.item.answers[0])
            votes[key] = votes.get(key, 0) + (1 if label.said.passed else -1)
    return [
        {"prompt": _prompt(messages), "completion": answer, "label": vote > 0}
        for (messages, answer), vote in _decided(votes, left_out)
    ]


def _pairs(labels: Sequence[Label], left_out: Counter[str]) -> list[Row]:
    votes: dict[tuple[tuple[Message, ...], tuple[str, str]], int] = {}
    for label in labels:
        assert label.said is not None
        texts = [answer.strip() for answer in label.item.answers]
        if label.said.preference is None:
            left_out["no preference was asked for"] += 1
        elif not all(texts) or texts[0] == texts[1]:
            left_out["an answer is empty, or both are equal but for spaces"] += 1
        else:
            first, second = sorted(label.item.answers)
            preferred = {"a": label.item.answers[0], "b": label.item.answers[1]}.get(label.said.preference)
            key = (label.item.messages, (first, second))
            votes[key] = votes.get(key, 0) + {first: 1, second: -1, None: 0}[preferred]
    return [
        {
            "prompt": _prompt(messages),
            "chosen": first if vote > 0 else second,
            "rejected": second if vote > 0 else first,
        }
        for (messages, (first, second)), vote in _decided(votes, left_out)
    ]


def _decided(votes: Mapping[Any, int], left_out: Counter[str]) -> Iterable[tuple[Any, int]]:
    """The majority's values, where there is a majority."""
    for key, vote in votes.items():
        if vote:
            yield key, vote
        else:
            left_out["a tie, or people disagree evenly"] += 1


def _prompt(messages: Sequence[Message]) -> str | list[Row]:
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].content
    return [{"role": turn.role, "content": turn.content} for turn in messages]


def _reason(label: Label) -> str:
    assert label.said is not None
    return label.said.comment.strip() or _NO_COMMENT


def _cluster(messages: Sequence[Message]) -> str:
    """Answers to one prompt are not independent of each other."""
    return f"prompt-{sha256(as_text(messages).encode()).hexdigest()[:12]}"


def _writable(label: Label) -> bool:
    """Whether there is a prompt, and UTF-8 can hold all texts: a cut answer may end in half a character."""
    item = label.item
    prompts = [turn.content for turn in item.messages]
    wanted = [item.wanted.rubric or "", item.wanted.tone or "", *item.wanted.references]
    said = "" if label.said is None else label.said.comment
    try:
        "".join([*prompts, *item.answers, *wanted, said, label.who]).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return bool(prompts and prompts[-1].strip())


def export_text(kind: Kind, export: Export, path: Path) -> str:
    """The file's content.

    Args:
        kind: The form of the rows.
        export: The rows.
        path: The file, which a golden set is named after.
    """
    if kind != "calibration":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in export.rows)
    by = f"By {', '.join(export.raters)}: blind and in shuffled order, with tunegate judge label."
    items = "".join(case_text(row, "  ") for row in export.rows)
    return f"name: {flow_text(name_of(path))}\nlabelled_by: {flow_text(by)}\nitems:\n{items}"


def write_export(path: Path, text: str, *, replace: bool) -> None:
    """Write the whole file, or leave the old one.

    Args:
        path: The file.
        text: Its content.
        replace: Whether an existing file is replaced.

    Raises:
        DataError: The file exists and may not be replaced, or can't be written.
    """
    if path.exists() and not replace:
        raise DataError(path, None, "exists already: give another name, or --replace")
    try:
        write_whole(path, text)
    except OSError as error:
        raise DataError(path, None, f"can't be written: {error.strerror}") from error
