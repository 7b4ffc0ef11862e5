"""Errors in the protocol's form."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi.responses import JSONResponse


def error_reply(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    """An error in the protocol's form.

    Args:
        message: The text for people.
        kind: The protocol's kind of error.
        code: The protocol's code, if any.

    Returns:
        The reply's JSON.
    """
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def refusal(status: int, message: str, kind: str, code: str | None = None) -> "JSONResponse":
    """A refusal.

    Args:
        status: The HTTP status.
        message: The text for people.
        kind: The protocol's kind of error.
        code: The protocol's code, if any.
    """
    from fastapi.responses import JSONResponse

    return JSONResponse(error_reply(message, kind, code), status_code=status)


def bad_request(message: str) -> "JSONResponse":
    """The refusal of a request that can't be answered as it is."""
    return refusal(400, message, "invalid_request_error")


def unknown_model(model: str, known: Sequence[str]) -> "JSONResponse":
    """The refusal of a name that isn't served.

    Args:
        model: The name.
        known: The names that are served.
    """
    message = f"no model {model!r} here (served: {', '.join(known)})"
    return refusal(404, message, "invalid_request_error", "model_not_found")


def exchanged(model: str) -> str:
    """What is said where other weights answered than the reply would name."""
    return f"{model} was exchanged while it answered; send the request once more"
