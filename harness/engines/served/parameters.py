"""Parameters that some servers refuse, and that a request may do without or give by another name."""

import re
from collections.abc import Collection, Mapping
from typing import Any

_REFUSED = frozenset({400, 422})
# How servers refuse a parameter, and not its value; other words do where they are of no number's size.
_UNKNOWN = re.compile(r"(?i)un(known|supported|recogni|expected)|not (support|permit)|forbid")
_UNWANTED = re.compile(r"(?i)deprecat|not allow|invalid param|instead")
_ONLY = re.compile(r"(?i)\bonly\b")
_SIZED = re.compile(
    r"(?i)too \w+|at (most|least)|imum|exceed|less|great|larger|smaller|high|below|range|between|positive|"
    r"(must|should) be in|[<>≤≥]=? ?\d|\d (to|and) \d"
)

# How an answer is drawn: a server may refuse one value and take others.
_DRAWING = ("temperature", "top_p")


class UnfitParameterError(Exception):
    """A reply shows that its request is to be asked without a parameter.

    Attributes:
        name: The parameter's.
    """

    def __init__(self, name: str) -> None:
        """Store the name."""
        super().__init__(name)
        self.name = name


class OptionalParameters:
    """Which of them one server takes.

    Attributes:
        lacks_seed: Whether answers were drawn without the seed that was asked for.
        undrawn: With what they were not drawn that was asked for.
    """

    def __init__(self, optional: Mapping[str, str | None]) -> None:
        """All are sent until one is refused.

        Args:
            optional: The parameters, and their other names; only chats have these.
        """
        self.lacks_seed = False
        self.undrawn: set[str] = set()
        self._optional = dict(optional)
        # Of what has values that are refused alone, these.
        self._refused: set[tuple[str, object]] = set()

    def accepted(self, body: Mapping[str, Any], left_out: Collection[str]) -> dict[str, Any]:
        """A request without the parameters that the server refused, of any request or of this one.

        Args:
            body: The request's parameters.
            left_out: Those that it refused of this one.

        Returns:
            By name, some by the name that the server takes instead.
        """
        sent = dict(body)
        for name, other in self._in(body).items():
            if _kind(name, body) in self._refused or name in left_out:
                value = sent.pop(name)
                sent |= {} if other is None else {other: value}
        return sent

    def refused_by(self, error: Any, sent: Mapping[str, Any]) -> str | None:
        """A parameter that a refusal names, and that the request may do without; None if there is none.

        Requests that were sent before the first refusal are refused for the same parameter.

        Args:
            error: The official client's error, with the server's status and words.
            sent: The request's parameters.
        """
        complaint = f"{error.message} {error.body}" if error.status_code in _REFUSED else ""
        for name, other in self._in(sent).items():
            word = "json_schema" if name == "response_format" else name
            if (name in complaint or word in complaint) and _may_go(name, other, sent[name], complaint):
                return name
        return None

    def note(self, body: Mapping[str, Any], left_out: Collection[str]) -> None:
        """Note that a request was taken: only now is it known that it is these parameters that were refused.

        Args:
            body: Its parameters.
            left_out: Those that it was sent without.
        """
        self._refused.update(_kind(name, body) for name in left_out)
        lacking = {name for name in self._in(body) if _kind(name, body) in self._refused}
        self.undrawn.update(f"{name} {body[name]:g}" for name in _DRAWING if name in lacking)
        # The likeliest token is the same with any seed.
        self.lacks_seed |= "seed" in lacking and bool(body.get("temperature"))

    def _in(self, sent: Mapping[str, Any]) -> dict[str, str | None]:
        found = {name: other for name, other in self._optional.items() if name in sent}
        return {name: other for name, other in found.items() if other is None or "messages" in sent}


def shortened(body: Mapping[str, Any]) -> dict[str, Any]:
    """The least there is to ask a model, in the form of a request; one of another kind stays what it is."""
    if "messages" in body:
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}
    elif body.get("prompt"):
        asked = {"prompt": body["prompt"][:1]}
    else:
        return dict(body)
    return {"model": body.get("model"), **asked, "max_tokens": 1}


def _kind(name: str, body: Mapping[str, Any]) -> tuple[str, object]:
    """What is refused together with a request's parameter."""
    return name, body.get(name) if name in _DRAWING else None


def _may_go(name: str, other: str | None, value: Any, complaint: str) -> bool:
    """Whether a request may do without a parameter that a complaint names.

    Args:
        name: The parameter's.
        other: Its other name; None for none.
        value: What was sent.
        complaint: What the server says.
    """
    if name in _DRAWING and value:
        # A value that is out of range is the request's own fault; 0 asks for the likeliest token.
        is_of_name = _refuses_name(complaint) or _ONLY.search(complaint)
        return bool(is_of_name) and not _SIZED.search(complaint)
    # A number that is too large is no smaller under another name.
    return other is None or _refuses_name(complaint)


def _refuses_name(complaint: str) -> bool:
    """Whether a complaint is of a parameter, and not of its value."""
    is_of_name = _UNWANTED.search(complaint) and not _SIZED.search(complaint)
    return bool(is_of_name or _UNKNOWN.search(complaint))
