"""What an answer cost: its time, its tokens, its price. These don't read the text."""

from harness.metrics.definition import ScoringRequest, graded, one_by_one
from harness.types import Completion, Score

_MILLION = 1_000_000


def _completion(request: ScoringRequest) -> Completion:
    if request.completion is None:
        raise ValueError(f"{request.check.type} needs an answer of a model")
    return request.completion


def _counted(completion: Completion) -> int:
    """The answer's tokens.

    Raises:
        ValueError: Nothing counted them: a server that reports no usage.
    """
    count, said = completion.completion_tokens, completion.text or completion.reasoning
    if count < 0 or (count == 0 and said):
        raise ValueError("the engine counted no tokens of this answer: its server reports no usage")
    return count


def _latency(request: ScoringRequest) -> Score:
    """Milliseconds; a batch's time is shared by its answers."""
    milliseconds = _completion(request).latency_s * 1000
    if milliseconds <= 0:
        raise ValueError("the engine measured no time for this answer")
    return graded(request, milliseconds, f"{milliseconds:.0f} ms")


def _throughput(request: ScoringRequest) -> Score:
    """Tokens a second; an empty answer counts as the one token that ended it."""
    completion = _completion(request)
    if completion.latency_s <= 0:
        raise ValueError("the engine measured no time for this answer")
    rate = max(_counted(completion), 1) / completion.latency_s
    return graded(request, rate, f"{rate:.1f} tokens a second")


def _tokens(request: ScoringRequest) -> Score:
    count = _counted(_completion(request))
    return graded(request, float(count), f"{count} tokens")


def _cost(request: ScoringRequest) -> Score:
    completion, options = _completion(request), request.check.options
    prices = [float(str(options.get(name, 0.0))) for name in ("prompt_price", "completion_price")]
    if prices[0] and completion.prompt_tokens <= 0:
        raise ValueError("the engine counted no tokens of the prompt: its server reports no usage")
    used = [completion.prompt_tokens, _counted(completion) if prices[1] else completion.completion_tokens]
    cost = sum(price * tokens for price, tokens in zip(prices, used, strict=True)) / _MILLION
    return graded(request, cost, f"{used[0]} tokens of prompt and {used[1]} of answer cost {cost:.3g}")


latency = one_by_one(_latency)
throughput = one_by_one(_throughput)
tokens = one_by_one(_tokens)
cost = one_by_one(_cost)
