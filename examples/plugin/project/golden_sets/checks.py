"""Checks of this project. They run only if its pyproject.toml allows it."""

MOST_WORDS = 40


def whole_sentence(answer):
    """Whether the answer ends as a sentence does."""
    return answer.rstrip().endswith((".", "!", "?"))


def brevity(answer, case):
    """1 for the shortest answer, 0 from forty words on; the case gives the prompt."""
    assert case.messages
    return max(0.0, 1 - len(answer.split()) / MOST_WORDS)
