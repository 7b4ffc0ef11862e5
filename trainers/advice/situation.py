"""The situation of a user, for the adviser."""

from collections.abc import Mapping
from dataclasses import dataclass

GOALS: Mapping[str, str] = {
    "facts": "facts that change: prices, stock, news, documents",
    "style": "a style, tone or format of answers",
    "skill": "a skill whose answers can be verified: calculation, extraction, code",
    "preferences": "what people prefer, where there is no single right answer",
    "domain": "the knowledge and language of a domain",
    "tasks": "several tasks at once",
}
DATA: Mapping[str, str] = {
    "none": "nothing yet",
    "examples": "questions with good answers",
    "pairs": "pairs of a better and a worse answer",
    "thumbs": "single answers with a thumb up or down",
    "reward": "questions, and a function that scores answers",
    "text": "raw text",
}
# The content of one row of each kind.
UNITS: Mapping[str, str] = {
    "none": "rows",
    "examples": "examples",
    "pairs": "pairs",
    "thumbs": "thumbs",
    "reward": "questions",
    "text": "documents",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A goal and the means for it.

    Attributes:
        goal: One of GOALS.
        data: One of DATA.
        rows: Number of rows; 0 for none.
        instruct: Whether the base already follows instructions.
    """

    goal: str
    data: str
    rows: int = 0
    instruct: bool = True
