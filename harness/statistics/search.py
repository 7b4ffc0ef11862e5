"""The smallest drop, or the smallest number, with which something holds, by bisection."""

from collections.abc import Callable


def least_drop(holds: Callable[[float], bool], high: float, precision: float) -> float | None:
    """The smallest drop with which something holds.

    Args:
        holds: Whether it holds; if so, also for larger drops.
        high: The largest drop.
        precision: Of the result, which holds.

    Returns:
        The drop, or None if it doesn't hold even for the largest one.
    """
    if not holds(high):
        return None
    low = 0.0
    while high - low > precision:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def least_number(holds: Callable[[int], bool], most: int, first: int = 1) -> int | None:
    """The smallest number with which something holds: doubled until it does, then halved.

    Args:
        holds: Whether it holds; small jumps back are ignored.
        most: The largest number to consider.
        first: The first one to try.

    Returns:
        The number, or None if it is above ``most``.
    """
    low, high = 0, first
    while not holds(high):
        low, high = high, high * 2
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
