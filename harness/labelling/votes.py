"""People's labels of a stored run's answers, found by question and answer."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from harness.labelling.export import questions_of
from harness.labelling.label import Label
from harness.labelling.run_answers import is_of_run
from harness.metrics.judged import task_of
from harness.types import CaseResult, Check
from harness.types.run import conversation

# The run, the judge's question, the conversation, the rubric, references or tone, and the answer.
AnswerKey: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...], str, str]

_VALUES: Mapping[str | int, float] = {"pass": 1.0, "fail": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """Labels of some runs' answers.

    Attributes:
        values: Each person's value of an answer: 1 for a pass, 0 for a fail, or the grade.
        by_label: The answers that each usable label judges.
        left_out: Number of labels that can't be used here, by reason.
    """

    values: Mapping[AnswerKey, tuple[float, ...]]
    by_label: tuple[tuple[AnswerKey, ...], ...]
    left_out: Mapping[str, int]


def votes_of(labels: Sequence[Label], run_ids: Collection[str]) -> Votes:
    """Find the labels of these runs' answers.

    A label of the same text from another run doesn't count: the answers that stay the same are not a random
    part of this run's answers.

    Args:
        labels: The current labels.
        run_ids: The runs.
    """
    values: dict[AnswerKey, list[float]] = {}
    by_label: list[tuple[AnswerKey, ...]] = []
    left_out: Counter[str] = Counter()
    for label in labels:
        own = [run_id for run_id in run_ids if is_of_run(label.item, run_id)]
        asked = questions_of(label)
        if len(label.item.answers) > 1:
            left_out["of pairs"] += 1
        elif not own:
            left_out["of other runs or of files"] += 1
        elif not asked:
            left_out["without a rubric, reference or tone"] += 1
        else:
            messages = tuple((turn.role, turn.content) for turn in label.item.messages)
            keys = []
            for run_id in own:
                for task, said, wanted in asked:
                    key = (run_id, task, messages, "".join(wanted.values()), label.item.answers[0])
                    values.setdefault(key, []).append(_VALUES[said] if isinstance(said, str) else float(said))
                    keys.append(key)
            by_label.append(tuple(keys))
    return Votes(
        values={key: tuple(given) for key, given in values.items()},
        by_label=tuple(by_label),
        left_out=dict(left_out),
    )


def answer_key(run_id: str, result: CaseResult, check: Check) -> AnswerKey | None:
    """The key of a person's label of this answer for this check; None without an answer.

    Args:
        run_id: The run.
        result: A case with its answer.
        check: The check, whose criteria were asked about.
    """
    if result.completion is None:
        return None
    wanted = check.value if isinstance(check.value, str) else "\n\n".join(result.case.references)
    messages = tuple(
        (turn.role, turn.content) for turn in conversation(result.case, result.completion.earlier)
    )
    return run_id, task_of(check.type), messages, wanted, result.completion.text
