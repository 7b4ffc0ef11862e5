"""The log-probabilities of the token after a prompt, from engines on this machine and behind servers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.engines.served.chat import send_text
from harness.engines.served.client import PassingFaultError, RefusedError
from harness.engines.served.pool import Job

# As many as OpenAI's and vLLM's servers list.
_LISTED = 20
# Tokens below it are no part of a comparison: their probabilities are mostly rounding.
FLOOR = -20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NextToken:
    """A distribution of the next token, as far as it is known.

    Attributes:
        logprobs: By the token's text.
        rest: The largest log-probability that a token which isn't listed can have.
    """

    logprobs: Mapping[str, float]
    rest: float


def largest_change(one: NextToken, other: NextToken) -> float | None:
    """The largest change of a token's log-probability; at least that, where one of them lists few tokens.

    A server may write a token with the space at its beginning or without, as its tokenizer decodes it after
    others or alone, and the end of the text in many ways. So a token that a short list lacks is below its
    last only where all of the short list are in the other one.

    Args:
        one: A distribution.
        other: Another one, of the same prompt.

    Returns:
        The change; None where the likeliest token of one is not in the other, and nothing shows that both
        write tokens alike.
    """
    few, many = sorted((one, other), key=lambda each: each.rest, reverse=True)
    is_whole = few.rest <= FLOOR
    if not is_whole:
        few, many = _without_space(few), _without_space(many)
    common = few.logprobs.keys() & many.logprobs.keys()
    changes = [0.0, *(abs(few.logprobs[token] - many.logprobs[token]) for token in common)]
    if is_whole or len(common) == len(few.logprobs):
        changes += [few.logprobs[token] - many.rest for token in few.logprobs.keys() - common]
        changes += [many.logprobs[token] - few.rest for token in many.logprobs.keys() - common]
    elif not all(max(each.logprobs, key=each.logprobs.__getitem__) in common for each in (few, many)):
        return None
    return max(changes)


def _without_space(token: NextToken) -> NextToken:
    return _collected(((text.removeprefix(" "), value) for text, value in token.logprobs.items()), token.rest)


def of_logits(tokenizer: Any, logits: Any) -> NextToken:
    """The distribution of a model on this machine.

    Args:
        tokenizer: The model's.
        logits: Of the next token, (vocabulary,).
    """
    logprobs = logits.float().log_softmax(-1)
    ids = (logprobs > FLOOR).nonzero()[:, 0].tolist()
    texts = tokenizer.batch_decode([[token] for token in ids], skip_special_tokens=False)
    return _collected(zip(texts, logprobs[ids].tolist(), strict=True), FLOOR)


def _collected(entries: Any, rest: float) -> NextToken:
    """Tokens of one text are one entry, the likeliest."""
    found: dict[str, float] = {}
    for text, logprob in entries:
        found[text] = max(logprob, found.get(text, -math.inf))
    return NextToken(logprobs=found, rest=rest)


def first_token_of_chat(body: Mapping[str, Any]) -> Job:
    """The request for the first token of a chat answer.

    Args:
        body: The request for the answer.
    """
    asked = {**body, "max_tokens": 1, "logprobs": True, "top_logprobs": _LISTED}
    asked.pop("stop", None)

    async def send(client: Any, sent: dict[str, Any]) -> Any:
        return await client.chat.completions.create(**sent)

    def read(reply: Any, _sent: dict[str, Any]) -> NextToken:
        listed = getattr(_choice(reply).logprobs, "content", None)
        if not listed or not listed[0].top_logprobs:
            raise RefusedError("the server gives no log-probabilities", 200)
        tops = [(_text_of(top), float(top.logprob)) for top in listed[0].top_logprobs]
        return _collected(tops, min(logprob for _, logprob in tops))

    return Job(body=asked, send=send, read=read)


def _text_of(top: Any) -> str:
    """A listed token's text; of a part of a character what a tokenizer decodes it to, whatever is written."""
    given = getattr(top, "bytes", None)
    if not isinstance(given, list) or not given or not all(each in range(256) for each in given):
        return str(top.token)
    return bytes(given).decode("utf-8", errors="replace")


def first_token_of_text(body: Mapping[str, Any]) -> Job:
    """The request for the first token of a plain completion.

    Args:
        body: The request for the completion.
    """
    asked = {**body, "max_tokens": 1, "logprobs": _LISTED}
    asked.pop("stop", None)

    def read(reply: Any, _sent: dict[str, Any]) -> NextToken:
        listed = getattr(_choice(reply).logprobs, "top_logprobs", None)
        if not listed or not listed[0]:
            raise RefusedError("the server gives no log-probabilities", 200)
        tops = [(token, float(logprob)) for token, logprob in listed[0].items()]
        return _collected(tops, min(logprob for _, logprob in tops))

    return Job(body=asked, send=send_text, read=read)


def _choice(reply: Any) -> Any:
    choices = getattr(reply, "choices", None)
    if not choices:
        raise PassingFaultError("the reply is no completion")
    return choices[0]
