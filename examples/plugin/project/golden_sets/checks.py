"""Checks of this project: run only since its pyproject.toml allows it."""

MOST_WORDS = 40


def whole_sentence(answer):
    """Whether the answer ends as a sentence does."""
    return answer.rstrip().endswith((".", "!", "?"))


def brevity(answer, case):
    """1 for the shortest answer, 0 from forty words on; the case is there for what the prompt asks."""
    assert case.messages
    return max(0.0, 1 - len(answer.split()) / MOST_WORDS)
