"""Finds suspicious cases in a valid golden set: cases that can't fail, can't pass, or show nothing."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from harness.authoring.contradictions import are_of_one_answer, contradictions, matches_everything, required
from harness.authoring.finding import Finding
from harness.authoring.lint_comments import without_switched_off
from harness.errors import TunegateError
from harness.golden.patterns import unchecked_formats, unchecked_keywords
from harness.golden.schema import CHECK_TYPES, base_type, decides
from harness.golden.value_rules import ending_in_breaks
from harness.metrics.json_checks import schema_violation
from harness.metrics.squad import normalise
from harness.metrics.text import words
from harness.run.scoring import score_cases
from harness.types import (
    CaseResult,
    Check,
    Completion,
    GoldenCase,
    GoldenSet,
    JsonValue,
    Message,
    Outcome,
    Turn,
)

# These can't distinguish a right answer from a wrong one.
_FORM = frozenset({"length", "repetition", "is-refusal"})
_BLIND = {
    "similar": "embeddings do not see a negation",
    "perplexity": "it scores the reference and never reads the answer",
}
# What of a reference these metrics compare.
_WHAT_IS_COMPARED: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(("squad-em", "squad-f1"), normalise),
    **dict.fromkeys(("rouge-1", "rouge-2", "rouge-l", "rouge-lsum", "gleu", "meteor"), words),
}
_BLIND_REMEDY = "add a check of the answer's content"


# What a comment may switch off.
RULES = frozenset(
    [
        *("broken", "duplicate", "empty-reference", "idle-regex", "line-end", "passes-echo", "passes-empty"),
        *("unchecked-format", "unchecked-keyword", "undecided", "unreachable"),
        *(f"{name}-alone" for name in _BLIND),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suspicion:
    """A finding without its file."""

    case: GoldenCase
    rule: str
    message: str
    remedy: str
    line: int | None = None


def lint_golden_set(golden_set: GoldenSet) -> list[Finding]:
    """All findings of a set, in the file's order.

    Nothing is loaded: checks that need a model or a library are not run. Skipped cases are included. What a
    comment switches off with a reason is left out.
    """
    cases = [replace(case, skip=None) for case in golden_set.cases]
    suspicions = [*_duplicates(cases), *_empty_or_echo(cases), *_references(cases)]
    for case in cases:
        suspicions += _undecided(case, golden_set.gate.metric_margins)
        suspicions += _checks(case)
    findings = [
        Finding(
            path=found.case.file or golden_set.path,
            line=found.case.line if found.line is None else found.line,
            case_id=found.case.id,
            rule=found.rule,
            message=found.message,
            remedy=found.remedy,
        )
        for found in suspicions
    ]
    order = {case.id: place for place, case in enumerate(cases)}
    findings = sorted(findings, key=lambda finding: (order[finding.case_id], finding.line))
    return without_switched_off(findings, _case_lines(golden_set), RULES)


def _case_lines(golden_set: GoldenSet) -> dict[str, dict[str, int]]:
    """By file and case, the line in which the case begins; without files that are not written yet."""
    lines: dict[str, dict[str, int]] = {}
    for case in golden_set.cases:
        lines.setdefault(case.file or golden_set.path, {})[case.id] = case.line
    return {path: found for path, found in lines.items() if Path(path).is_file()}


def _duplicates(cases: Sequence[GoldenCase]) -> Iterator[_Suspicion]:
    first: dict[tuple[tuple[Message, ...], tuple[Turn, ...]], GoldenCase] = {}
    for case in cases:
        earlier = first.setdefault((case.messages, case.turns), case)
        if earlier is not case:
            message, remedy = f"asks the same as {earlier.id}", "merge them, or change the prompt"
            yield _Suspicion(case=case, rule="duplicate", message=message, remedy=remedy)
        for place, check in enumerate(case.checks):
            if replace(check, line=0) in [replace(other, line=0) for other in case.checks[:place]]:
                message = f"{check.type} occurs twice"
                yield _Suspicion(
                    case=case, rule="duplicate", message=message, remedy="remove one", line=check.line
                )


def _empty_or_echo(cases: Sequence[GoldenCase]) -> Iterator[_Suspicion]:
    """Cases whose checks pass on meaningless answers. A case is left out if not all its checks can be run."""
    checked = [case for case in cases if _deciding(case) and all(_is_cheap(c) for c in _deciding(case))]
    empty = _scored(checked, ["" for _ in checked])
    echo = _scored(checked, [_last_words(case) for case in checked])
    for case, on_empty, on_echo in zip(checked, empty, echo, strict=True):
        if on_empty.outcome is Outcome.PASSED:
            message, remedy = "an empty answer passes", "add a check that it fails"
            yield _Suspicion(case=case, rule="passes-empty", message=message, remedy=remedy)
        elif on_echo.outcome is Outcome.PASSED:
            message = "an answer that only repeats the prompt passes"
            remedy = "add a check that it fails, such as a length or equals"
            yield _Suspicion(case=case, rule="passes-echo", message=message, remedy=remedy)


def _last_words(case: GoldenCase) -> str:
    return case.turns[-1].content if case.turns else case.messages[-1].content


def _references(cases: Sequence[GoldenCase]) -> Iterator[_Suspicion]:
    """References that fail the checks of their own case, or on which a check breaks."""
    pairs = [
        (replace(case, id=f"{case.id}.{turn}.{number}", checks=checks), case, reference)
        for case in cases
        for turn in (None, *range(1, len(case.turns) + 1))
        if (checks := tuple(_whole(check) for check in case.checks if check.turn == turn))
        for number, reference in enumerate(_references_of(case, turn))
    ]
    results = _scored([copy for copy, _, _ in pairs], [reference for _, _, reference in pairs])
    for (_, case, reference), result in zip(pairs, results, strict=True):
        told = reference if len(reference) <= 40 else reference[:37] + "..."
        if result.errors:
            message, remedy = f"{result.errors[0].metric} breaks on its reference {told!r}", "fix either"
            detail = f"{message}: {result.errors[0].error}"
            yield _Suspicion(case=case, rule="broken", message=detail, remedy=remedy)
        elif result.outcome is Outcome.FAILED:
            score = next(score for score in result.scores if score.passed is False)
            message = f"its reference {told!r} fails {score.metric}"
            remedy = "fix either; a reference is a whole good answer, a part of one is a check's value"
            yield _Suspicion(case=case, rule="unreachable", message=message, remedy=remedy)


def _references_of(case: GoldenCase, turn: int | None) -> tuple[str, ...]:
    """What the checks of a turn compare with; the case's own references without a turn."""
    return case.references if turn is None else case.turns[turn - 1].references


def _whole(check: Check) -> Check:
    """A check without its transform: references are like the part that the transform takes out."""
    return replace(check, transform=(), checks=tuple(map(_whole, check.checks)))


def _undecided(case: GoldenCase, gated: Collection[str]) -> Iterator[_Suspicion]:
    deciding = _deciding(case)
    if not deciding and any(check.type in gated for check in case.single_checks):
        # It only grades, and the grade is what the gate compares.
        return
    if not deciding:
        remedy = "give a graded check a threshold"
        yield _Suspicion(case=case, rule="undecided", message="no check decides", remedy=remedy)
        return
    kinds = [CHECK_TYPES[base_type(single.type)] for check in deciding for single in check.single_checks]
    if not any(kind.reads_answer or kind.needs_losses for kind in kinds):
        message = "an empty answer passes: no check that decides reads the answer"
        yield _Suspicion(case=case, rule="passes-empty", message=message, remedy=_BLIND_REMEDY)
        return
    telling = {
        single.type
        for check in deciding
        for single in check.single_checks
        if not single.type.startswith("not-") and single.type not in _FORM
    }
    for name, reason in _BLIND.items():
        if telling == {name}:
            message = f"{name} is the only check that decides on the content, and {reason}"
            yield _Suspicion(case=case, rule=f"{name}-alone", message=message, remedy=_BLIND_REMEDY)


def _checks(case: GoldenCase) -> Iterator[_Suspicion]:
    """Checks that every answer passes, and checks that no answer can pass together."""
    for check in case.checks:
        for single, as_written in check.signed_checks:
            at = replace(single, line=check.line)
            yield from _idle_patterns(case, at)
            yield from _line_ends(case, at)
            if CHECK_TYPES[base_type(single.type)].value_type == "schema" and single.value is not None:
                yield from _unread(case, single.value, "its schema", check.line)
            if single.type == "tool-calls" and as_written:
                yield from _forbidden_arguments(case, at)
    for tool in cast("Any", case.generation.tools):
        function = tool["function"]
        yield from _unread(case, function["parameters"], f"the parameters of {function['name']}", case.line)
    for check, message in contradictions(case):
        remedy = "no answer passes both: remove one"
        yield _Suspicion(case=case, rule="unreachable", message=message, remedy=remedy, line=check.line)
    yield from _fixed_answers(case)
    yield from _vanishing(case)


def _idle_patterns(case: GoldenCase, check: Check) -> Iterator[_Suspicion]:
    if base_type(check.type) == "regex" and matches_everything(check):
        outcome = "every answer passes it" if check.type == "regex" else "no answer passes it"
        message = f"the pattern {check.value!r} matches anything, so {outcome}"
        yield _Suspicion(case=case, rule="idle-regex", message=message, remedy="anchor it", line=check.line)


def _line_ends(case: GoldenCase, check: Check) -> Iterator[_Suspicion]:
    text = ending_in_breaks(check)
    if text is not None:
        message = f"{check.type} doesn't find {text!r} at an answer's end, where the line break is missing"
        remedy = "leave the line break out, unless another line has to follow"
        yield _Suspicion(case=case, rule="line-end", message=message, remedy=remedy, line=check.line)


def _unread(case: GoldenCase, schema: JsonValue, of: str, line: int) -> Iterator[_Suspicion]:
    """What of a JSON Schema nothing reads."""
    for name in unchecked_formats(schema):
        message = f"nothing checks the format {name!r} of {of}"
        remedy = "say it with a pattern, or install what checks it: pip install 'jsonschema[format]'"
        yield _Suspicion(case=case, rule="unchecked-format", message=message, remedy=remedy, line=line)
    for name in unchecked_keywords(schema):
        message = f"nothing checks the keyword {name!r} of {of}"
        remedy = "correct its name, or leave it out"
        yield _Suspicion(case=case, rule="unchecked-keyword", message=message, remedy=remedy, line=line)


def _forbidden_arguments(case: GoldenCase, check: Check) -> Iterator[_Suspicion]:
    """Expected calls whose arguments their tool's schema forbids: a valid call fails the check."""
    tools = {tool["function"]["name"]: tool["function"] for tool in cast("Any", case.generation.tools)}
    for place, call in enumerate(cast("Any", check.value)):
        if call["name"] not in tools or "arguments" not in call:
            continue
        try:
            why = schema_violation(call["arguments"], tools[call["name"]]["parameters"])
        except (TunegateError, ValueError) as error:
            why = str(error)
        if why is not None:
            message = f"{check.type} expects value[{place}].arguments that {call['name']} forbids: {why}"
            yield _Suspicion(
                case=case, rule="unreachable", message=message, remedy="fix either", line=check.line
            )


def _vanishing(case: GoldenCase) -> Iterator[_Suspicion]:
    """References of which a metric leaves nothing to compare."""
    singles = [(check, single) for check in case.checks for single in check.single_checks]
    for group, check in singles:
        left = _WHAT_IS_COMPARED.get(base_type(check.type))
        for reference in _references_of(case, group.turn) if left is not None else ():
            if left is not None and reference.strip() and not left(reference):
                message = f"{check.type} leaves nothing of its reference {reference!r}"
                remedy = (
                    "use exact-match or f1"
                    if check.type.startswith(("squad", "not-squad"))
                    else "use another"
                )
                yield _Suspicion(
                    case=case, rule="empty-reference", message=message, remedy=remedy, line=group.line
                )


def _fixed_answers(case: GoldenCase) -> Iterator[_Suspicion]:
    """The only answer that passes one check fails another check."""
    fixed = [(group, single) for group in _deciding(case) for single in required(group)]
    for group, check in fixed:
        if check.type != "equals" or not isinstance(check.value, str) or check.transform:
            continue
        together = tuple(other for other in case.checks if are_of_one_answer(case, group, other))
        (result,) = _scored([replace(case, checks=together)], [check.value.strip()])
        for score in result.scores:
            if score.passed is False:
                message = f"the answer that {check.type} requires, {check.value!r}, fails {score.metric}"
                remedy = "no answer passes both: remove one"
                yield _Suspicion(
                    case=case, rule="unreachable", message=message, remedy=remedy, line=group.line
                )


def _deciding(case: GoldenCase) -> list[Check]:
    return [check for check in case.checks if decides(check)]


def _is_cheap(check: Check) -> bool:
    """Whether it runs with the base installation; the lint runs nobody's code."""
    kinds = [CHECK_TYPES[base_type(single.type)] for single in check.single_checks]
    return all(kind.extra is None and kind.reads_answer and not kind.runs_code for kind in kinds)


def _answer(text: str, earlier: int) -> Completion:
    """An answer, and the same to each of some earlier turns."""
    answer = Completion(text=text, stop_reason="stop", prompt_tokens=0, completion_tokens=0, latency_s=0.0)
    return replace(answer, earlier=(answer,) * earlier)


def _scored(cases: Sequence[GoldenCase], answers: Sequence[str]) -> list[CaseResult]:
    """Results of the cheap deciding checks on given answers."""
    cheap = [replace(case, repeat=1, checks=tuple(filter(_is_cheap, _deciding(case)))) for case in cases]
    completions = {
        case.key: _answer(answer, max(len(case.turns) - 1, 0))
        for case, answer in zip(cheap, answers, strict=True)
    }
    return score_cases(cheap, completions)
