"""Chooses tokens not by the largest logit: by a model's own settings, or at random."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import torch

    from harness.engines.base import GenerationRequest
    from harness.engines.side import Side
    from harness.types import GenerationSettings

# The next token, given its logits, (vocabulary,), and the answer's tokens so far.
Choose: TypeAlias = "Callable[[torch.Tensor, list[int]], int]"


def chooser(request: GenerationRequest, side: Side, prompt: Sequence[int]) -> Choose | None:
    """The function that chooses a request's tokens.

    Args:
        request: The request.
        side: The side that answers.
        prompt: The prompt's tokens, which count for penalties too.

    Returns:
        The function; None for the most probable token.
    """
    settings, draw = request.settings, _sampler(request, side.model.device)
    if not settings.use_model_settings:
        return None if draw is None else lambda logits, _tokens: draw(logits)
    process = _model_settings(side, len(prompt), settings.token_limit)

    def choose(logits: torch.Tensor, tokens: list[int]) -> int:
        logits = process(logits, [*prompt, *tokens])
        return int(logits.argmax()) if draw is None else draw(logits)

    return choose


def _model_settings(
    side: Side, prompt_tokens: int, limit: int
) -> Callable[[torch.Tensor, list[int]], torch.Tensor]:
    """The effects of the model's generation config on logits: penalties, suppressed and forced tokens.

    Its settings for sampling and its largest length are ignored: those of the golden set apply, also for the
    place of a forced end token.
    """
    import torch

    settings = copy.deepcopy(side.model_settings)
    settings.do_sample, settings.num_beams, settings.guidance_scale = False, 1, None
    settings.update(**settings._get_default_generation_params(), defaults_only=True)
    settings.max_length = prompt_tokens + limit
    device = side.model.device
    eos = sorted(side.stop_ids)
    settings._eos_token_tensor = torch.tensor(eos, device=device) if eos else None
    base: Any = side.model.get_base_model() if hasattr(side.model, "peft_config") else side.model
    processors = base._get_logits_processor(
        generation_config=settings, input_ids_seq_length=prompt_tokens, device=device, model_kwargs={}
    )

    def process(logits: torch.Tensor, tokens: list[int]) -> torch.Tensor:
        ids = torch.tensor([tokens], device=logits.device)
        return processors(ids, logits[None].float())[0]  # type: ignore[no-any-return] # untyped

    return process


def _sampler(request: GenerationRequest, device: Any) -> Callable[[torch.Tensor], int] | None:
    """Samples a request's tokens; None for greedy answers.

    The seed is the request's own, so a sample doesn't depend on its batch.
    """
    import torch

    settings = request.settings
    if settings.temperature <= 0:
        return None
    digest = hashlib.sha256(f"{settings.seed}:{request.key}".encode()).digest()
    stream = torch.Generator(device=device).manual_seed(int.from_bytes(digest[:6]))
    return lambda logits: _sample(logits, settings, stream)


def _sample(logits: torch.Tensor, settings: GenerationSettings, stream: torch.Generator) -> int:
    """Sample one token by nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751)."""
    import torch

    probabilities = torch.softmax(logits.float() / settings.temperature, dim=-1)  # (vocabulary,)
    ordered, tokens = probabilities.sort(descending=True)
    # The smallest set whose mass reaches top-p: a token stays while the mass before it is still below.
    ordered[(ordered.cumsum(-1) - ordered) >= settings.top_p] = 0
    return int(tokens[torch.multinomial(ordered, 1, generator=stream)[0]])
