"""A team's own wording of a judge's question: a file beside the golden set, read and hashed with it.

The file has the form of those in ``harness/judge/prompts``: the system message, a line ``---``, the user's
message, with places such as ``{{answer}}``. A first line ``scale: 0 to 10, passes from 7`` replaces yes and
no by grades.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PAIR = ("answer_a", "answer_b")
# By check type: the material that the question has, of which the answers have to be shown; the reply's key.
_MATERIAL: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "llm-rubric": (("answer",), ("question", "rubric"), "pass"),
    "tone": (("answer",), ("question", "rubric"), "pass"),
    "factuality": (("answer",), ("question", "reference"), "pass"),
    "llm-reference": (("answer",), ("question", "reference"), "grade"),
    "pairwise": (_PAIR, ("question", "rubric"), "winner"),
}
_HOLE = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")
_SCALE = re.compile(r"scale: *(?P<least>\d+) to (?P<most>\d+), passes from (?P<passes>\d+)")
_FORMATS = {
    "pass": '{"reason": "one or two sentences", "pass": true or false}',
    "winner": '{"reason": "one or two sentences", "winner": "A", "B" or "tie"}',
}
_LARGEST_SCALE = 100


class TemplateFileError(ValueError):
    """A template that can't be used; ``allowed`` says what is."""

    def __init__(self, problem: str, allowed: str = "") -> None:
        """Store both parts of the message."""
        super().__init__(problem)
        self.allowed = allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Grades in place of yes and no.

    Attributes:
        least: The worst grade.
        most: The best one.
        passes_from: The smallest one that passes.
    """

    least: int
    most: int
    passes_from: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTemplate:
    """A wording.

    Attributes:
        name: The file's name without its ending.
        sha256: Hash of the file.
        system: The system's message, with its places.
        user: The user's.
        scale: None for the check type's own.
    """

    name: str
    sha256: str
    system: str
    user: str
    scale: Scale | None

    @property
    def version(self) -> str:
        """Name and the start of the hash."""
        return f"{self.name}@{self.sha256[:12]}"


def find_template(path: str, directory: Path, check_type: str) -> tuple[Path, JudgeTemplate]:
    """The template of a check, by the path that is written in the golden set.

    Args:
        path: The path.
        directory: The golden set's; the file must be in it or below.
        check_type: The check's type.

    Returns:
        The file and what it holds.

    Raises:
        TemplateFileError: The file can't be read, or isn't a template for this type.
    """
    try:
        file = (directory / path).resolve()
        if not file.is_relative_to(directory.resolve()):
            raise TemplateFileError(f"{path} leaves the golden set's directory")
        content = file.read_bytes()
    except (OSError, RuntimeError, ValueError) as error:  # ValueError: a null character
        if isinstance(error, TemplateFileError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise TemplateFileError(f"{path} can't be read: {reason}") from error
    return file, parse_template(content, file.stem, check_type)


def parse_template(content: bytes, name: str, check_type: str) -> JudgeTemplate:
    """A template from its file's content.

    Args:
        content: The file's bytes.
        name: The file's name without its ending.
        check_type: The type of check that it is for.

    Raises:
        TemplateFileError: It isn't a template for this type.
    """
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise TemplateFileError(f"{name} is not UTF-8: byte {error.start}") from error
    scale, text = _scale_of(text, check_type)
    system, mark, user = text.partition("\n---\n")
    if not mark:
        raise TemplateFileError(
            f"{name} has no line ---", "the system's message, a line ---, the user's message"
        )
    shown, other, key = _MATERIAL[check_type]
    used, known = set(_HOLE.findall(text)), {*shown, *other, "mark", "format"}
    allowed = ", ".join(f"{{{{{hole}}}}}" for hole in sorted(known))
    if strange := sorted(used - known):
        raise TemplateFileError(
            f"{name} has a place {{{{{strange[0]}}}}} that {check_type} can't fill", allowed
        )
    for hole in (*shown, "mark"):
        if hole not in used:
            why = " around the material, so that no answer can pose as instructions" if hole == "mark" else ""
            raise TemplateFileError(f"{name} has no place {{{{{hole}}}}}{why}", allowed)
    for hole in shown:
        if any(not _is_between_marks(message, hole) for message in (system, user)):
            raise TemplateFileError(
                f"{name} has {{{{{hole}}}}} outside of the marks, where an answer can pose as instructions",
                f"<{{{{mark}}}}>{{{{{hole}}}}}</{{{{mark}}}}>",
            )
    key = key if scale is None else "grade"
    if "format" not in used and f'"{key}"' not in text:
        raise TemplateFileError(f"{name} says nothing of the reply's form", "{{format}}, which says it")
    form = _FORMATS.get(key) or _grades(scale or Scale(least=1, most=5, passes_from=1))
    told = f"Reply with one JSON object and nothing else: {form}"
    return JudgeTemplate(
        name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        system=_with_format(system, told),
        user=_with_format(user, told),
        scale=scale,
    )


def _is_between_marks(message: str, hole: str) -> bool:
    """Whether each place of a name has marks on both sides; a mark more is one of prose."""
    names = _HOLE.findall(message)
    total = names.count("mark")
    for place, name in enumerate(names):
        before = names[:place].count("mark")
        if name == hole and not (0 < before < total and (total % 2 or before % 2)):
            return False
    return True


def _scale_of(text: str, check_type: str) -> tuple[Scale | None, str]:
    first, _, rest = text.partition("\n")
    if not re.match(r"\s*scale\s*:", first, re.IGNORECASE):
        return None, text
    found = _SCALE.fullmatch(first.strip())
    allowed = "such as scale: 0 to 10, passes from 7"
    if found is None:
        raise TemplateFileError(f"found {first.strip()!r}", allowed)
    scale = Scale(least=int(found["least"]), most=int(found["most"]), passes_from=int(found["passes"]))
    if _MATERIAL[check_type][2] != "pass":
        raise TemplateFileError(f"{check_type} has a scale of its own", "no line scale:")
    if not scale.least < scale.passes_from <= scale.most <= _LARGEST_SCALE:
        raise TemplateFileError(f"found {first.strip()!r}, in which not every grade has a meaning", allowed)
    return scale, rest


def _grades(scale: Scale) -> str:
    return f'{{"reason": "one or two sentences", "grade": a whole number from {scale.least} to {scale.most}}}'


def _with_format(text: str, told: str) -> str:
    return _HOLE.sub(lambda hole: told if hole[1] == "format" else f"{{{{{hole[1]}}}}}", text).strip()
