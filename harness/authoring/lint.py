"""What is suspicious in a golden set that loads: cases that can't fail, or can't pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.golden.checks import CHECK_TYPES, base_type
from harness.scoring import score_cases
from harness.types import Check, Completion, GoldenCase, GoldenSet, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One suspicion.

    Attributes:
        rule: Its short name.
        message: What is wrong, and what to do.
    """

    path: str
    line: int
    case_id: str
    rule: str
    message: str

    def __str__(self) -> str:
        """As a compiler would print it."""
        return f"{self.path}:{self.line}: {self.case_id}: {self.message} [{self.rule}]"


def lint_golden_set(golden_set: GoldenSet) -> list[Finding]:
    """All findings of a set. Nothing is loaded: checks that need a model or library are not run."""
    found: list[tuple[GoldenCase, str, str]] = []
    found += _duplicates(golden_set.cases)
    found += _passing(golden_set.cases)
    found += _unreachable(golden_set.cases)
    for case in golden_set.cases:
        found += _weak(case)
    return sorted(
        (
            Finding(path=golden_set.path, line=case.line, case_id=case.id, rule=rule, message=message)
            for case, rule, message in found
        ),
        key=lambda finding: finding.line,
    )


def _duplicates(cases: Sequence[GoldenCase]) -> Iterator[tuple[GoldenCase, str, str]]:
    first: dict[object, GoldenCase] = {}
    for case in cases:
        earlier = first.setdefault((case.messages, case.generation), case)
        if earlier is not case:
            yield case, "duplicate", f"asks the same as {earlier.id}: merge them or change the prompt"
        kinds = [
            (check.type, check.threshold, repr(check.value), repr(check.options)) for check in case.checks
        ]
        for kind in {kind[0] for kind in kinds if kinds.count(kind) > 1}:
            yield case, "duplicate", f"{kind} stands twice: remove one"


def _passing(cases: Sequence[GoldenCase]) -> Iterator[tuple[GoldenCase, str, str]]:
    """Cases whose cheap deciding checks all pass on an empty answer."""
    checked = [(case, cheap) for case in cases if (cheap := _cheap(case)) is not None]
    results = score_cases([cheap for _, cheap in checked], {cheap.key: _answer("") for _, cheap in checked})
    for (case, cheap), result in zip(checked, results, strict=True):
        if result.outcome is Outcome.PASSED and len(cheap.checks) == len(_deciding(case)):
            yield case, "passes-empty", "an empty answer passes: add a check that it fails"


def _unreachable(cases: Sequence[GoldenCase]) -> Iterator[tuple[GoldenCase, str, str]]:
    """Cases whose own references fail their checks, and pairs of checks that exclude each other."""
    checked = [
        (case, replace(cheap, id=f"{case.id}.{number}"), reference)
        for case in cases
        if (cheap := _cheap(case)) is not None
        for number, reference in enumerate(case.references)
    ]
    answers = {cheap.key: _answer(reference) for _, cheap, reference in checked}
    results = score_cases([cheap for _, cheap, _ in checked], answers)
    passed: set[str] = set()
    failing: dict[str, tuple[GoldenCase, str]] = {}
    for (case, _, _), result in zip(checked, results, strict=True):
        if result.outcome is Outcome.PASSED:
            passed.add(case.id)
        elif result.outcome is Outcome.FAILED:
            metric = next(score.metric for score in result.scores if score.passed is False)
            failing.setdefault(case.id, (case, metric))
    for case_id, (case, metric) in failing.items():
        if case_id not in passed:
            yield case, "unreachable", f"its own reference fails {metric}: mend the reference or the check"
    for case in cases:
        wanted = {check.type: check for check in case.checks}
        for name, check in wanted.items():
            other = wanted.get(f"not-{name}")
            if other is not None and other.value == check.value and other.options == check.options:
                yield case, "unreachable", f"{name} and not-{name} of the same value: no answer passes both"


def _weak(case: GoldenCase) -> Iterator[tuple[GoldenCase, str, str]]:
    deciding = _deciding(case)
    if not deciding:
        yield case, "undecided", "no check decides: give a graded check a threshold"
    elif all(base_type(check.type) == "similar" for check in deciding):
        message = "similar is its only deciding check, and embeddings do not see negation: add another"
        yield case, "similar-alone", message
    for check in case.checks:
        if check.type == "json-equals" and isinstance(check.value, str):
            yield case, "json-text", "json-equals compares with a text: write value: as YAML, unquoted"


def _deciding(case: GoldenCase) -> list[Check]:
    return [
        check
        for check in case.checks
        if CHECK_TYPES[base_type(check.type)].kind == "binary" or check.threshold is not None
    ]


def _cheap(case: GoldenCase) -> GoldenCase | None:
    """The case with only those deciding checks that need nothing beyond the base installation."""
    checks = [check for check in _deciding(case) if CHECK_TYPES[base_type(check.type)].extra is None]
    return replace(case, checks=tuple(checks)) if checks else None


def _answer(text: str) -> Completion:
    return Completion(text=text, stop_reason="stop", prompt_tokens=0, completion_tokens=0, latency_s=0.0)
