"""The judge's questions as versioned files, ``TASK-VERSION.md``: the system message, ``---``, the user's.

A released file is not changed: a better wording is a new version. Its name and hash are in every verdict and
cache key, so verdicts of two wordings are never mixed.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.errors import JudgeError
from harness.golden.judge_template import Scale, TemplateFileError, parse_template
from harness.types import Message

_DIRECTORY = Path(__file__).parent
# The current version of each question.
CURRENT = {"rubric": 1, "reference": 1, "factuality": 1, "tone": 1, "pairwise": 1}
_HOLE = re.compile(r"\{\{([a-z_]+)\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One question's wording.

    Attributes:
        version: Such as ``rubric-1@0a1b2c3d4e5f``: the file's name and the start of its SHA-256.
        scale: Grades in place of the question's own values, in a wording of the user's.
    """

    version: str
    system: str
    user: str
    scale: Scale | None = None


@cache
def load_prompt(task: str) -> Prompt:
    """The current wording of a question."""
    path = _DIRECTORY / f"{task}-{CURRENT[task]}.md"
    content = path.read_bytes().replace(b"\r\n", b"\n")
    system, _, user = content.decode("utf-8").partition("\n---\n")
    digest = hashlib.sha256(content).hexdigest()[:12]
    return Prompt(version=f"{path.stem}@{digest}", system=system.strip(), user=user.strip())


@cache
def own_prompt(file: str, check_type: str, sha256: str | None = None) -> Prompt:
    """A wording of the user's own.

    Args:
        file: The template's file.
        check_type: The type of check that it is for.
        sha256: Its hash when the golden set was read; None to take the file as it is.

    Raises:
        JudgeError: The file was changed since, or can't be read.
    """
    path = Path(file)
    try:
        template = parse_template(path.read_bytes(), path.stem, check_type)
    except (OSError, TemplateFileError) as error:
        raise JudgeError(f"{path.name} can't be read any more: {error}") from error
    if sha256 not in {None, template.sha256}:
        raise JudgeError(f"{path.name} was changed since the golden set was read; run again")
    return Prompt(version=template.version, system=template.system, user=template.user, scale=template.scale)


def fill_prompt(prompt: Prompt, values: Mapping[str, str]) -> tuple[Message, Message]:
    """The messages of a question.

    The mark around each piece of material is a hash of all the material, so no piece can contain it, and no
    answer can close its own quotation.

    Args:
        prompt: The wording.
        values: The material, by the name of its place in the wording.

    Returns:
        The system's message and the user's.
    """
    material = "\0".join(f"{key}={value}" for key, value in sorted(values.items()))
    digest = hashlib.sha256(material.encode("utf-8", "surrogatepass"))
    holes = {**values, "mark": f"material-{digest.hexdigest()[:12]}"}

    def filled(text: str) -> str:
        # In one pass: braces inside a value are not filled.
        return _HOLE.sub(lambda found: holes[found[1]], text)

    return (
        Message(role="system", content=filled(prompt.system)),
        Message(role="user", content=filled(prompt.user)),
    )
