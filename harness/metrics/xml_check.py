"""``is-xml``: the whole answer is one well-formed XML document, read by defusedxml."""

from collections.abc import Sequence
from typing import Any

from harness.metrics.definition import ScoringRequest, binary, quote, text_of
from harness.types import MetricError, Score

# What XML takes for white space; a reader refuses any other around the document.
_SPACE = " \t\r\n"


class NotXmlError(ValueError):
    """The text is not XML; the message says why."""


def is_xml(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
    """Whether each answer is XML and has the elements of the check's value."""
    return [_is_xml(request) for request in requests]


def _is_xml(request: ScoringRequest) -> Score:
    try:
        root = _root(request.text)
    except NotXmlError as error:
        return binary(request, False, str(error))
    value = request.check.value
    paths = [text_of(path) for path in value] if isinstance(value, list) else []
    missing = [path for path in paths if not _has(root, path.split("."))]
    if missing:
        return binary(request, False, f"the element {quote(missing[0])} is missing")
    return binary(request, True, f"the answer is XML ({quote(_name(root))})")


def _root(written: str) -> Any:
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    text = written.strip(_SPACE) if written.strip() else ""
    if not text:
        raise NotXmlError("the answer is empty")
    if text.startswith("<?xml") and not written.startswith(text[:5], written.startswith("\ufeff")):
        raise NotXmlError("white space before the XML declaration")
    if text.startswith("```"):
        raise NotXmlError("the answer is in a ``` code fence; only bare XML counts")
    try:
        return fromstring(text)
    except ParseError as error:
        raise NotXmlError(f"not XML: {error}") from error
    except DefusedXmlException as error:
        # Entities of its own can grow without limit, or read files.
        raise NotXmlError(f"refused XML: {type(error).__name__}") from error
    except UnicodeEncodeError as error:
        raise NotXmlError("not XML: it has a lone surrogate") from error


def _has(root: Any, names: Sequence[str]) -> bool:
    """Whether there is an element at a path of names, the root's first; namespaces are ignored."""
    elements = [root] if _name(root) == names[0] else []
    for name in names[1:]:
        elements = [child for element in elements for child in element if _name(child) == name]
    return bool(elements)


def _name(element: Any) -> str:
    # A comment or processing instruction has a function as its tag.
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
