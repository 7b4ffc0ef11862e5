"""Compares the entities in an answer with the expected ones.

Precision, recall and F1 of exact matches, as in CoNLL: Tjong Kim Sang, E. F. and De Meulder, F. (2003).
Introduction to the CoNLL-2003 shared task (arXiv:cs/0306050). An entity is right if its type and text are;
one that occurs twice in the text has to be found twice.
"""

from collections import Counter
from typing import TypeAlias

from harness.metrics.definition import ScoringRequest, graded, one_by_one, quote
from harness.metrics.json_checks import NotJsonError, parse_json
from harness.types import JsonValue, Score

# Number of occurrences of each type and text.
Entities: TypeAlias = "Counter[tuple[str, str]]"
_SHOWN = 3


class NotEntitiesError(ValueError):
    """The text is not a list of entities; the message says why."""


def parse_entities(text: str) -> Entities:
    """Read ``[{"type": "city", "text": "Oslo"}]``; further keys are ignored, white space is normalised.

    Raises:
        NotEntitiesError: It is something else.
    """
    try:
        value = parse_json(text)
    except NotJsonError as error:
        raise NotEntitiesError(str(error)) from None
    if not isinstance(value, list):
        raise NotEntitiesError("the answer is JSON, but not a list of entities")
    return Counter(_entity(item) for item in value)


def _entity(item: JsonValue) -> tuple[str, str]:
    if isinstance(item, dict):
        kind, text = item.get("type"), item.get("text")
        if isinstance(kind, str) and isinstance(text, str):
            return kind, " ".join(text.split())
    raise NotEntitiesError("each entity needs type and text, both strings")


def entity_f1(found: Entities, wanted: Entities) -> tuple[float, float, float]:
    """Precision, recall and F1, each in [0, 1]; with none on one side 1 if there is none on either.

    Args:
        found: The answer's entities, with how often each occurs.
        wanted: The reference's.

    Returns:
        In that order.
    """
    if not found or not wanted:
        same = float(found == wanted)
        return same, same, same
    shared = (found & wanted).total()
    # 2PR/(P+R) in whole numbers: an answer equal to its reference is exactly 1.
    return (
        shared / found.total(),
        shared / wanted.total(),
        2 * shared / (found.total() + wanted.total()),
    )


def _entity_f1(request: ScoringRequest) -> Score:
    references = [_reference(reference) for reference in request.case.references]
    try:
        found = parse_entities(request.text)
    except NotEntitiesError as error:
        return graded(request, 0.0, str(error))
    wanted = max(references, key=lambda reference: entity_f1(found, reference)[2])
    precision, recall, value = entity_f1(found, wanted)
    missing, extra = _listed(wanted - found), _listed(found - wanted)
    notes = [f"; missing {missing}" if missing else "", f"; not expected {extra}" if extra else ""]
    return graded(request, value, f"precision {precision:.2f}, recall {recall:.2f}{''.join(notes)}")


def _reference(text: str) -> Entities:
    try:
        return parse_entities(text)
    except NotEntitiesError as error:
        message = str(error).removeprefix("the answer ")
        raise ValueError(f"a reference of the case is not a list of entities: {message}") from None


def _listed(entities: Entities) -> str:
    names = [f"{kind} {quote(text, 30)}" for kind, text in entities.elements()]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


score_entities = one_by_one(_entity_f1)
