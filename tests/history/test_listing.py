"""What a line of the list says of a run that stopped early."""

import pytest

from harness.history.listing import _stopped_at


def at(look, answered, cases=20):
    return {"look": look, "planned": 5, "answered": answered, "cases": cases}


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        ([at(2, 8), at(5, 20)], "2 of 5"),
        ([at(2, 8), at(3, 12), at(5, 20)], "3 of 5"),
        ([at(5, 20), at(5, 20)], None),
    ],
)
def test_a_run_stopped_where_cases_were_not_needed(sets, told):
    """One set was decided at look 2, the other answered whole: nothing stopped at look 5."""
    assert _stopped_at(sets) == told
