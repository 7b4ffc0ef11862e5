"""The page says what was measured, of what the code supports."""

import json

from harness.engines.adapter import SUPPORTED
from tests.conformance.families import FAMILIES
from tests.conformance.kinds import KINDS
from tests.conformance.outcomes import DIFFERENT, EQUAL
from tests.conformance.page import ALONE, OUTCOMES, PAGE, load_outcomes, page_of


def test_the_page_is_todays():
    """Written by hand it would say what somebody wishes; run make conformance."""
    content = json.loads(OUTCOMES.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == page_of(content)


def test_the_representative_part_was_measured():
    """One family with all kinds, all families by themselves; nothing that was measured differs."""
    found = load_outcomes()
    assert list(found) == [family.name for family in FAMILIES]
    assert set(found[FAMILIES[0].name]) == {ALONE, *(kind.name for kind in KINDS)}
    for family, row in found.items():
        assert row[ALONE][0] == EQUAL, family
        assert DIFFERENT not in {word for word, _ in row.values()}


def test_every_supported_kind_is_equal_somewhere():
    """What is on the engine's list is there because a combination shows it, and nothing else is."""
    import peft

    shown = set()
    for kind in KINDS:
        if any(row.get(kind.name, [""])[0] == EQUAL for row in load_outcomes().values()):
            shown.add(kind.peft_type)
    assert shown == SUPPORTED
    assert {str(each) for each in shown} <= {str(kind.value) for kind in peft.PeftType}
