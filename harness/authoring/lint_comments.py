"""Comments that switch a rule of the lint off: ``# lint: off passes-echo the echo is the right answer``.

In the lines of a case a comment is for that case; above the first case it is for the whole file.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.authoring.finding import Finding

_COMMENT = re.compile(r"#\s*lint:\s*off\b[ \t]*(?P<rule>[\w-]*)[ \t]*(?P<reason>.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class LintComment:
    """One comment.

    Attributes:
        line: Its 1-based line.
        case_line: The line of the case that it is for; None for the whole file.
        rule: The rule that is off; empty if it names none.
        reason: Why; empty if it doesn't say.
    """

    line: int
    case_line: int | None
    rule: str
    reason: str


def read_comments(text: str, case_lines: Collection[int]) -> list[LintComment]:
    """The comments of a golden set's file.

    Args:
        text: The file's text.
        case_lines: The lines in which cases begin.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        written = _COMMENT.search(line)
        if written is not None:
            above = [each for each in case_lines if each <= number]
            found.append(
                LintComment(
                    line=number,
                    case_line=max(above, default=None),
                    rule=written["rule"],
                    reason=written["reason"].strip(),
                )
            )
    return found


def without_switched_off(
    findings: Sequence[Finding], case_lines: Mapping[str, Mapping[str, int]], rules: Collection[str]
) -> list[Finding]:
    """Findings whose rule no comment switches off, and what is wrong with the comments themselves.

    Args:
        findings: What the lint found.
        case_lines: By file and case, the line in which the case begins.
        rules: All rules.
    """
    kept = list(findings)
    for path, lines in case_lines.items():
        comments = read_comments(Path(path).read_text(encoding="utf-8"), lines.values())
        for comment in comments:
            mine = [each for each in kept if each.path == path and _is_off(each, comment, lines)]
            wrong = _fault(comment, rules) or ("" if mine else f"finds nothing of {comment.rule}")
            if comment.rule in rules and comment.reason:
                kept = [each for each in kept if each not in mine]
            if wrong:
                kept.append(_finding(path, comment, wrong))
    return kept


def _is_off(finding: Finding, comment: LintComment, case_lines: Mapping[str, int]) -> bool:
    is_for_all = comment.case_line is None
    return finding.rule == comment.rule and (
        is_for_all or comment.case_line == case_lines.get(finding.case_id)
    )


def _fault(comment: LintComment, rules: Collection[str]) -> str:
    if comment.rule not in rules:
        return f"names no rule ({', '.join(sorted(rules))})"
    return "" if comment.reason else "gives no reason"


def _finding(path: str, comment: LintComment, wrong: str) -> Finding:
    return Finding(
        path=path,
        line=comment.line,
        case_id="",
        rule="lint-comment",
        message=f"the comment {wrong}",
        remedy="write # lint: off RULE REASON, or remove it",
    )
