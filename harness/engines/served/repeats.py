"""How a request to a server is repeated."""

from collections.abc import Callable
from typing import Any


def retrying(
    is_last: Callable[[object], bool],
    wait_s: Callable[[object, int], float],
    is_repeated: Callable[[BaseException], bool],
) -> Any:
    """How a request is repeated.

    Args:
        is_last: Whether it is given up after a fault.
        wait_s: Seconds until the next attempt, by the fault and the number of attempts.
        is_repeated: Whether a fault may pass.
    """
    import tenacity

    def fault_of(state: tenacity.RetryCallState) -> object:
        return state.outcome and state.outcome.exception()

    return tenacity.AsyncRetrying(
        stop=lambda state: is_last(fault_of(state)),
        wait=lambda state: wait_s(fault_of(state), state.attempt_number),
        retry=tenacity.retry_if_exception(is_repeated),
        reraise=True,
    )
