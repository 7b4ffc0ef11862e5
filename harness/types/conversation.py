"""A case's conversation with a model, turn by turn."""

from collections.abc import Sequence

from harness.types.golden import GoldenCase, Message
from harness.types.run import Completion


def conversation(case: GoldenCase, earlier: Sequence[Completion]) -> tuple[Message, ...]:
    """The messages before an answer: the case's own, then the model's earlier answers and what follows each.

    Args:
        case: The case.
        earlier: The model's answers to the case's first turns; none for a case of one turn.
    """
    messages = list(case.messages)
    for answer, turn in zip(earlier, case.turns[1:], strict=False):
        messages.append(Message(role="assistant", content=answer.text))
        messages.append(Message(role="user", content=turn.content))
    return tuple(messages)
