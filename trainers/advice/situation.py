"""What the adviser knows of someone's situation."""

from collections.abc import Mapping
from dataclasses import dataclass

GOALS: Mapping[str, str] = {
    "facts": "facts that change: prices, stock, news, documents",
    "style": "a style, tone or format of answers",
    "skill": "a skill whose answers can be verified: calculation, extraction, code",
    "preferences": "what people like better, where no answer is the right one",
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
# What one row of each kind is.
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
        rows: How much of it; 0 for none.
        instruct: Whether the base already follows instructions.
    """

    goal: str
    data: str
    rows: int = 0
    instruct: bool = True
