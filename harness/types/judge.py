"""Questions to judges and their replies."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.types.golden import JsonValue, Message


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRequest:
    """One question to a judge.

    Attributes:
        key: Name of the request in messages (a case's key); not part of the question.
        task: The kind of question: ``rubric``, ``reference``, ``factuality``, ``tone``, ``pairwise`` or
            another metric's own.
        messages: The filled prompt.
        reply_schema: JSON Schema of the object in the reply.
        prompt_version: Name and hash of the prompt's file.
        conversation: The messages before the answers, for a judge that scores and reads no prompt.
        answers: The answers in the order in which the prompt shows them.
        criteria: The rubric or reference in plain words, for such a judge.
        repeat: Counts further questions of the same wording, so that each is asked separately.
        max_tokens: Most tokens in the reply.
        passes_from: Smallest grade that passes, where the wording asks for grades in place of yes and no.
    """

    key: str
    task: str
    messages: tuple[Message, ...]
    reply_schema: Mapping[str, JsonValue]
    prompt_version: str
    conversation: tuple[Message, ...] = ()
    answers: tuple[str, ...] = ()
    criteria: str = ""
    repeat: int = 0
    max_tokens: int = 512
    passes_from: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeReply:
    """A judge's reply, as stored in the cache.

    Attributes:
        text: The reply, unchanged.
        data: The object in it; it follows the request's schema.
        model: The model's name according to the server, or the judge's own name.
        stop_reason: Why it ended: ``length`` at the token limit; empty if unknown.
        structured: Whether the judge was held to the schema while it wrote.
        asked_in: The session that asked for it; empty in replies that earlier versions stored.
    """

    text: str
    data: Mapping[str, JsonValue] = field(default_factory=dict)
    model: str = ""
    stop_reason: str = ""
    structured: bool = True
    prompt_tokens: int = 0
    completion_tokens: int = 0
    asked_in: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeVerdict:
    """A judge's verdict on one answer.

    Attributes:
        passed: None if the question has no yes or no.
        value: On the question's own scale: 0 or 1, 1 to 5, or a pair's 0, 0.5 or 1.
        prompt_version: Name and hash of the prompt's file.
        raw_reply: The reply, unchanged.
    """

    passed: bool | None
    value: float
    reason: str
    judge_model: str
    prompt_version: str
    raw_reply: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeUsage:
    """Requests, tokens and cost of judging.

    Attributes:
        requests: Sent to the judge, including repeated ones.
        retried: Of those, sent again after a fault.
        from_cache: Questions that needed no request.
        failed: Questions without a verdict.
        unstructured: Replies that no JSON schema held: the server refused it, or took it and ignored it.
        cost: In the currency of the prices; None when no prices were given.
    """

    requests: int = 0
    retried: int = 0
    from_cache: int = 0
    failed: int = 0
    unstructured: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
