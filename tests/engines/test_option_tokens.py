"""A prompt and its options share the tokens that the prompt has before every one of them."""

import pytest

from harness.engines.option_tokens import shared_tokens


@pytest.mark.parametrize(
    ("own", "wholes", "shared"),
    [
        ([1, 2, 3], [[1, 2, 3, 4], [1, 2, 3, 5, 6]], 3),
        ([1, 2, 3], [[1, 2, 3, 4], [1, 2, 9, 6]], 2),  # the last token is another with this option
        ([1, 2, 3], [[1, 2, 3], [1, 2, 3, 4]], 3),
        ([], [[4], [5]], 0),
        (list(range(20)), [[*range(12), 99]], 12),
        (list(range(20)), [[*range(11), 99]], None),  # that is no end of the prompt any more
    ],
)
def test_what_no_option_changes_is_shared(own, wholes, shared):
    assert shared_tokens(own, wholes) == shared
