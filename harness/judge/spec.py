"""The names of judges: ``openai:MODEL@URL``, ``local:MODEL``, ``reward:DIR[@THRESHOLD]`` or a plug-in's."""

import re
from dataclasses import dataclass

from harness.engines.served.address import OPENAI_KEY, read_reference, shown
from harness.errors import SettingsError, faults_of
from harness.judge.kinds import judge_kinds
from harness.registry import load_function

# The variables of keys: one for any judge, and OpenAI's own.
KEY_VARIABLES = ("TUNEGATE_JUDGE_API_KEY", OPENAI_KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSpec:
    """A judge as written.

    Attributes:
        kind: Name of a judge kind of the registry.
        model: A server's model name, a local model's name or directory, or an adapter's directory.
        url: The server's address up to ``/v1``; None for a local judge.
        threshold: Of a reward model: the reward above which an answer passes.
    """

    kind: str
    model: str
    url: str | None = None
    threshold: float = 0.0

    def __str__(self) -> str:
        """The spec as it is written."""
        behind = f"@{self.url}" if self.url else f"@{self.threshold:g}" if self.threshold else ""
        return f"{self.kind}:{self.model}{behind}"


def parse_spec(text: str) -> JudgeSpec:
    """Read a judge's spec.

    Raises:
        SettingsError: Its kind is unknown, or its address contains a key.
    """
    name, _, rest = text.strip().partition(":")
    kinds = judge_kinds()
    if name not in kinds or not rest.strip():
        allowed = ", ".join(kind.form for kind in kinds.values())
        raise SettingsError(f"judge {shown(text)!r}: no such judge (allowed: {allowed})")
    read = kinds[name].read
    if read is None:
        return JudgeSpec(kind=name, model=rest.strip())
    place = f"judge {name!r}"
    read_spec = load_function(read, place)
    with faults_of(place, SettingsError):
        spec: object = read_spec(rest.strip())
    if not isinstance(spec, JudgeSpec):
        raise SettingsError(f"{place}: read gave a {type(spec).__name__} (allowed: a JudgeSpec)")
    return spec


def read_reward(reference: str) -> JudgeSpec:
    """The spec of a reward model: its directory, and the threshold if one is written."""
    named = re.fullmatch(r"(?P<directory>.+?)(?:@(?P<threshold>-?\d+(?:\.\d+)?))?", reference, re.DOTALL)
    assert named is not None  # any text is a directory's name
    return JudgeSpec(kind="reward", model=named["directory"], threshold=float(named["threshold"] or 0))


def read_openai(reference: str) -> JudgeSpec:
    """The spec of a server's model.

    Raises:
        SettingsError: It is not a model at an address, or the address contains a key.
    """
    model, urls = read_reference(reference, "judge", "openai:MODEL@URL", KEY_VARIABLES)
    if len(urls) > 1:
        raise SettingsError(f"judge {shown(reference)!r}: several addresses (allowed: openai:MODEL@URL)")
    return JudgeSpec(kind="openai", model=model, url=urls[0])
