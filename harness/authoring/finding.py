"""What the lint finds, and how grave it is."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["error", "warning"]

# Rules of cases that show nothing or less than they seem to; all others are of cases that can't fail, can't
# pass, or break.
_WARNINGS = {
    "duplicate",
    "passes-echo",
    "similar-alone",
    "perplexity-alone",
    "unchecked-format",
    "unchecked-keyword",
    "line-end",
    "lint-comment",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One suspicion.

    Attributes:
        line: 1-based line of the case or check.
        case_id: The case; empty if it is none's.
        rule: Its short name.
        message: What is wrong.
        remedy: How to fix it.
    """

    path: str
    line: int
    case_id: str
    rule: str
    message: str
    remedy: str

    @property
    def level(self) -> Level:
        """How grave it is: an error is of a case that decides wrongly or never."""
        return "warning" if self.rule in _WARNINGS else "error"

    def __str__(self) -> str:
        """In the format of a compiler's message."""
        case = f"{self.case_id}: " if self.case_id else ""
        return f"{self.path}:{self.line}: {self.level}: {case}{self.message}: {self.remedy} [{self.rule}]"
