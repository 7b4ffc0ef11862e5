"""Finds prompts made from one template that a set counts as independent cases."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from harness.statistics.clusters import joined
from harness.types import GoldenCase, GoldenSet

# Two prompts of one template are seldom independent, and three of them are no chance.
_LEAST = 3
# Fewer independent cases by so much, and the intervals are too narrow to leave it unsaid.
_MOST_INDEPENDENT = 0.8
# A template has so many words of its own, more than half of it: else any two short questions are alike.
_OWN_WORDS = 3
# Longer texts are not made from a sentence with a gap.
_MOST_WORDS = 60
_NUMBER, _NAME, _GAP = "#", "A", "_"


def why_not_independent(golden_set: GoldenSet) -> str | None:
    """A note, if many prompts differ in names, numbers and one word only and share no cluster.

    Args:
        golden_set: The set; one that asks about its own cases alone needs no independent ones.
    """
    if golden_set.gate.population == "cases":
        return None
    cases = [case for case in golden_set.cases if case.skip is None]
    clusters = [place if case.cluster is None else case.cluster for place, case in enumerate(cases)]
    groups = [group for group in _alike(cases) if len({clusters[place] for place in group}) >= _LEAST]
    independent = len(set(clusters))
    fewer = _independent(clusters, groups)
    if not groups or fewer > _MOST_INDEPENDENT * independent:
        return None
    alike = {place for group in groups for place in group}
    largest = max(groups, key=len)
    named = ", ".join(cases[place].id for place in largest[:3])
    return (
        f"{len(alike)} prompts are alike but for names, numbers or one word (such as {named}) and count as "
        f"independent: give those of one kind a common cluster, else its intervals are too narrow; "
        f"{fewer} independent ones would be left of {independent}"
    )


def _alike(cases: Sequence[GoldenCase]) -> list[list[int]]:
    """Places of the cases of each template, if they are enough to be one."""
    groups: dict[int, list[int]] = {}
    for place, template in enumerate(joined(map(_templates, _words_of(cases)))):
        groups.setdefault(template, []).append(place)
    return [group for group in groups.values() if len(group) >= _LEAST]


def _words_of(cases: Sequence[GoldenCase]) -> Iterator[list[str]]:
    """Each prompt's words, names and numbers blotted out, without instructions that most prompts share."""
    lines = [
        [line.strip() for text in _asked(case) for line in text.splitlines() if line.strip()]
        for case in cases
    ]
    common = Counter(line for each in lines for line in set(each))
    for each in lines:
        own = [line for line in each if common[line] <= len(cases) / 2] or each
        yield [_blotted(word) for line in own for word in re.findall(r"\w+", line)]


def _asked(case: GoldenCase) -> list[str]:
    messages = [message.content for message in case.messages if message.role != "system"]
    return [*messages, *(turn.content for turn in case.turns)]


def _blotted(word: str) -> str:
    if word[0].isdigit():
        return _NUMBER
    return _NAME if word[0].isupper() else word


def _templates(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The words, and the words with a gap at each place, as long as enough of them are left."""
    if len(words) > _MOST_WORDS:
        return
    own = sum(word not in {_NUMBER, _NAME} for word in words)
    for place in range(-1, len(words)):
        in_gap = place >= 0 and words[place] not in {_NUMBER, _NAME}
        if own - in_gap >= _OWN_WORDS and 2 * (own - in_gap) > len(words):
            yield tuple(words) if place < 0 else (*words[:place], _GAP, *words[place + 1 :])


def _independent(clusters: Sequence[str | int], groups: Sequence[Sequence[int]]) -> int:
    """How many independent cases are left if those of each template are one."""
    templates = {place: template for template, group in enumerate(groups) for place in group}
    marks = (
        [("cluster", cluster), ("template", templates.get(place, -1 - place))]
        for place, cluster in enumerate(clusters)
    )
    return len(set(joined(marks)))
