"""Packs prompts into batches: rows of similar length together, within a token budget."""

from collections.abc import Sequence


def pack_batches(prompt_tokens: Sequence[int], answer_tokens: Sequence[int], budget: int) -> list[list[int]]:
    """Group rows so that a padded batch holds at most ``budget`` tokens.

    Rows are sorted by the length of their answer's limit and then of their prompt, longest first: padding
    is small, a batch that doesn't fit into memory fails at the start, and progress quickens towards the end.

    Args:
        prompt_tokens: Prompt length of each row.
        answer_tokens: Most tokens that each row may generate.
        budget: Most tokens in a batch, counted as rows x (longest prompt + longest answer). A row that is
            longer on its own gets a batch of its own.

    Returns:
        Batches of row indices; every row is in exactly one.
    """
    order = sorted(
        range(len(prompt_tokens)), key=lambda row: (answer_tokens[row], prompt_tokens[row], row), reverse=True
    )
    batches: list[list[int]] = []
    longest_prompt = longest_answer = 0
    for row in order:
        prompt = max(longest_prompt, prompt_tokens[row])
        answer = max(longest_answer, answer_tokens[row])
        if batches and batches[-1] and (len(batches[-1]) + 1) * (prompt + answer) <= budget:
            batches[-1].append(row)
        else:
            batches.append([row])
            prompt, answer = prompt_tokens[row], answer_tokens[row]
        longest_prompt, longest_answer = prompt, answer
    return batches
