"""Names of judges in runs: a panel has several, and so has a server that deals questions to its models."""

from collections.abc import Sequence
from typing import TypeAlias

# Between the names of a panel's judges, and between those of one judge.
_JUDGES, _DEALT = " + ", ", "
_Names: TypeAlias = Sequence[frozenset[str]]


def is_other(who: str, then: str) -> bool:
    """Whether two names are of different judges or encoders.

    Args:
        who: The one name.
        then: The other.
    """
    return _paired(_panel(who), _panel(then)) is None


def joined_names(who: str, then: str) -> str:
    """The name of a judge, with all that two sessions have named it; the first where it is another one.

    Args:
        who: The one name.
        then: The other.
    """
    pairs = _paired(_panel(who), _panel(then))
    return who if pairs is None else _JUDGES.join(sorted(_DEALT.join(sorted(a | b)) for a, b in pairs))


def _panel(name: str) -> list[frozenset[str]]:
    """A panel's judges, each with the models to which its server deals the questions."""
    return [frozenset(each.split(_DEALT)) for each in name.split(_JUDGES)]


def _paired(panel: _Names, others: _Names) -> list[tuple[frozenset[str], frozenset[str]]] | None:
    """Each judge of a panel with one of another that shares a name; None if that can't be said of all."""
    if not panel or not others:
        return None if panel or others else []
    for place, other in enumerate(others):
        rest = _paired(panel[1:], [*others[:place], *others[place + 1 :]]) if panel[0] & other else None
        if rest is not None:
            return [(panel[0], other), *rest]
    return None
