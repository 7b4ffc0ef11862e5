"""The names of judges: ``openai:MODEL@URL``, ``local:MODEL``, ``reward:DIR[@THRESHOLD]`` or a plug-in's."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.errors import SettingsError
from harness.judge.kinds import judge_kinds
from harness.registry import load_function

DEFAULT_URL = "https://api.openai.com/v1"
# The variables of keys: one for any judge, and OpenAI's own.
KEY_VARIABLES = ("TUNEGATE_JUDGE_API_KEY", "OPENAI_API_KEY")


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
        raise SettingsError(f"judge {_shown(text)!r}: no such judge (allowed: {allowed})")
    read = kinds[name].read
    if read is None:
        return JudgeSpec(kind=name, model=rest.strip())
    spec: JudgeSpec = load_function(read, f"judge {name!r}")(rest.strip())
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
    found = re.fullmatch(r"(?P<model>.+?)(?:@(?P<url>https?://\S+))?", reference)
    if found is None or re.search(r"\s", found["model"]) or "://" in found["model"]:
        shown = _shown(f"openai:{reference}")
        raise SettingsError(f"judge {shown!r}: no model at an address (allowed: openai:MODEL@URL)")
    return JudgeSpec(kind="openai", model=found["model"], url=_checked_url(found["url"] or DEFAULT_URL))


def _checked_url(url: str) -> str:
    # An address ends up in logs, caches and reports.
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"judge: {_shown(url)!r} is not an address: {error}") from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError(
            f"judge: the address {_shown(url)!r} contains a user, query or fragment; "
            f"put a key into {' or '.join(KEY_VARIABLES)}"
        )
    if not parts.hostname or port == 0:
        raise SettingsError(f"judge: {_shown(url)!r} names no server (allowed: http://HOST:PORT/v1)")
    return url.rstrip("/")


def _shown(text: str) -> str:
    """The text without possible secrets."""
    return re.sub(r"[?#].*$", "…", re.sub(r"//[^/@\s]*@", "//…@", text))
