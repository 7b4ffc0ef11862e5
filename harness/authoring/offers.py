"""Checks to offer for a new case: those that the shown answer passes and that an empty answer fails."""

import json
import re
from collections.abc import Sequence
from typing import Any

from harness.golden.check_rules import CheckProblem, make_check
from harness.scoring import score_cases
from harness.types import Completion, GoldenCase, Message, Outcome

_WORD = re.compile(r"[A-Za-z0-9À-ÿ][\w'-]*")
_COMMON = frozenset(
    [
        *("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "in", "is", "it"),
        *("of", "on", "or", "that", "the", "this", "to", "was", "with"),
    ]
)


def offer_checks(prompt: str, answer: str, references: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Checks for an answer, most specific first.

    Args:
        prompt: What was asked.
        answer: What the model said, or what the author wants to be said.
        references: Good answers; the answer itself where there are none.

    Returns:
        Checks as they stand in YAML. Each passes on the answer and fails on an empty one.
    """
    references = list(references) or [answer]
    return [check for check in _candidates(answer) if _separates(check, prompt, answer, references)]


def _candidates(answer: str) -> list[dict[str, Any]]:
    offers: list[dict[str, Any]] = []
    try:
        value = json.loads(answer)
    except ValueError:
        value = None
    if isinstance(value, dict | list):
        offers.append({"type": "json-equals"})
        schema: dict[str, Any] = {"type": "array"}
        if isinstance(value, dict):
            schema = {"type": "object", "required": list(value)}
        offers.append({"type": "is-json", "value": schema})
        return offers
    words = answer.split()
    if len(words) <= 4:
        offers += [{"type": "equals"}, {"type": "exact-match"}]
    if telling := [word for word in _WORD.findall(answer) if word.lower() not in _COMMON]:
        # The longest words say most; a case that wants others is one edit away.
        for word in sorted(dict.fromkeys(telling), key=len, reverse=True)[:3]:
            offers.append({"type": "icontains", "value": word})
    offers.append({"type": "f1", "threshold": 0.5})
    offers.append({"type": "length", "min": 1, "max": max(2 * len(answer), 20)})
    return offers


def _separates(check: dict[str, Any], prompt: str, answer: str, references: list[str]) -> bool:
    """Whether the check tells the answer from an empty one."""
    options = {key: value for key, value in check.items() if key not in {"type", "value", "threshold"}}
    try:
        made = make_check(
            check["type"], check.get("threshold"), check.get("value"), options, references=references
        )
    except CheckProblem:
        return False
    cases = [
        GoldenCase(
            id=name,
            set_name="offer",
            messages=(Message(role="user", content=prompt),),
            references=tuple(references),
            checks=(made,),
        )
        for name in ("answer", "empty")
    ]
    texts = {"offer/answer": answer, "offer/empty": ""}
    completions = {
        key: Completion(text=text, stop_reason="stop", prompt_tokens=0, completion_tokens=0, latency_s=0.0)
        for key, text in texts.items()
    }
    given, empty = score_cases(cases, completions)
    return given.outcome is Outcome.PASSED and empty.outcome is Outcome.FAILED
