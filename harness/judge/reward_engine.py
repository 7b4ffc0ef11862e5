"""A trained judge: a reward model, which gives a conversation one number and needs no prompt.

The number has a meaning only in comparison with another (Bradley and Terry, 1952), so it is best for pairs. A
single answer passes if the number is above a threshold, 0 unless the spec names one. The rubric or reference
is added after the question; a model that was trained on such questions can use it.
"""

import asyncio
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from harness.engines.adapter import read_json, read_training
from harness.errors import AdapterError, JudgeError, ModelError, PromptError
from harness.judge.dealing import ComputingEngine
from harness.judge.spec import JudgeSpec
from harness.models.resolve import CHANGED, adapter_sha256, is_model, model_sha256, resolve_model
from harness.prompts.tokenizers import load_tokenizer, with_padding
from harness.prompts.training import render_answered, training_settings
from harness.types import JudgeReply, JudgeRequest
from tunegate.project import user_path

_MOST = 64
_BATCH = 8
# Rewards that differ by less are a tie: the better one would win 52.5 % of the time.
_TIE = 0.1
_GRADES = 4


def open_reward(spec: JudgeSpec, timeout_s: float, environment: Mapping[str, str]) -> "RewardEngine":
    """The engine of ``reward:ADAPTER_DIR``; it asks no server, so it needs neither a time limit nor a key.

    Args:
        spec: The judge.
        timeout_s: Not used.
        environment: Not used.
    """
    return RewardEngine(spec)


class RewardEngine(ComputingEngine):
    """Judges with a reward model's adapter."""

    def __init__(self, spec: JudgeSpec) -> None:
        """Check and identify the adapter; it loads with the first question.

        Raises:
            AdapterError: It is not a reward model, or has another base.
            ModelError: Its base is unavailable.
        """
        self._directory = user_path(spec.model)
        self._threshold = spec.threshold
        self._base_dir = check_reward_model(self._directory)
        name = f"reward:{self._directory.name}"
        super().__init__(spec, name=name, weights=self._weights_now(), together=_MOST)
        self._model: Any = None
        self._tokenizer: Any = None
        self._known: dict[str, float] = {}

    async def ask(self, request: JudgeRequest) -> JudgeReply:
        """Score one question's answer or answers.

        Raises:
            JudgeError: The question can't be answered by a number, or the model failed.
        """
        if not request.answers or request.task not in {
            "rubric",
            "reference",
            "factuality",
            "tone",
            "pairwise",
        }:
            raise JudgeError(f"a reward model can't answer {request.task}: it only scores answers")
        self.requests += 1
        try:
            reply = await self._gatherer.ask(request)
        except (PromptError, RuntimeError, ValueError, MemoryError, OSError) as error:
            raise JudgeError(f"{type(error).__name__}: {error}") from error
        if isinstance(reply, JudgeError):
            raise reply
        return reply

    def computed(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """A reply for each question, computed in this process."""
        self.load()
        rewards = self._rewards(
            [turns_of(request, answer) for request in requests for answer in request.answers]
        )
        replies = []
        for request in requests:
            own = [rewards.pop(0) for _ in request.answers]
            replies.append(JudgeReply(text=json.dumps(self._said(request, own)), model=self.name))
        return replies

    def _said(self, request: JudgeRequest, rewards: Sequence[float]) -> dict[str, Any]:
        if request.task == "pairwise":
            first, second = rewards
            near = abs(first - second) < _TIE
            winner = "tie" if near else "A" if first > second else "B"
            return {"reason": f"rewards {first:.2f} and {second:.2f}", "winner": winner}
        above = rewards[0] - self._threshold
        reason = f"reward {rewards[0]:.2f}, threshold {self._threshold:g}"
        if request.passes_from is not None:
            # It knows its own threshold only, so it uses the ends of the wording's scale.
            grade = cast("Any", request.reply_schema["properties"])["grade"]
            return {"reason": reason, "grade": grade["maximum" if above > 0 else "minimum"]}
        if request.task == "reference":
            return {"reason": reason, "grade": 1 + round(_GRADES / (1 + math.exp(-above)))}
        return {"reason": reason, "pass": above > 0}

    def _weights_now(self) -> str:
        """The start of the hash of its files."""
        hashes = f"{adapter_sha256(self._directory)} {model_sha256(self._base_dir)}"
        return hashlib.sha256(hashes.encode()).hexdigest()[:12]

    def _refuse_changed(self) -> None:
        if self._weights_now() != self.weights:
            raise ModelError(f"{self._directory}: {CHANGED}")

    def load(self) -> None:
        """Load the model, unless it is.

        Raises:
            ModelError: Its files are others than those by which replies are stored.
        """
        if self._model is not None:
            return
        self._refuse_changed()
        import torch

        from harness.engines.loading import quiet_load

        with quiet_load():
            from peft import PeftModel
            from transformers import AutoModelForSequenceClassification

            tokenizer = with_padding(load_tokenizer(self._base_dir, self._directory))
            base: Any = AutoModelForSequenceClassification.from_pretrained(
                self._base_dir,
                num_labels=1,
                dtype=torch.float32,
                trust_remote_code=False,
                use_safetensors=True,
                local_files_only=True,
            )
            base.config.pad_token_id = tokenizer.pad_token_id
            model = PeftModel.from_pretrained(base, str(self._directory), autocast_adapter_dtype=False)
        self._refuse_changed()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model, self._tokenizer = model.to(device).eval(), tokenizer

    def _rewards(self, conversations: Sequence[list[dict[str, str]]]) -> list[float]:
        """The number of each conversation, which ends with the answer.

        None is computed twice: pairs come in both orders, and calibration repeats every question.
        """
        import torch

        settings = training_settings(read_training(self._directory))
        texts = [render_answered(self._tokenizer, turns, settings) for turns in conversations]
        # In a fixed order: rows of one batch influence each other's last digits.
        new = sorted((text for text in dict.fromkeys(texts) if text not in self._known), key=len)
        for start in range(0, len(new), _BATCH):
            rows = new[start : start + _BATCH]
            batch = self._tokenizer(
                rows,
                add_special_tokens=False,
                padding=True,
                padding_side="right",
                return_tensors="pt",
            ).to(self._model.device)
            with torch.inference_mode():
                logits = self._model(**batch).logits[:, 0].float().tolist()  # (rows,)
            self._known.update(zip(rows, logits, strict=True))
        return [self._known[text] for text in texts]

    async def close(self) -> None:
        """Stop and release the weights."""
        await self._gatherer.close()
        self._model = None
        await asyncio.sleep(0)


def turns_of(request: JudgeRequest, answer: str) -> list[dict[str, str]]:
    """The conversation that is scored: the question, then the rubric or reference, then the answer.

    Args:
        request: The question, with the criteria that the answer is compared with.
        answer: The answer to score.

    Returns:
        Role/content turns that end with the answer.
    """
    turns = [{"role": turn.role, "content": turn.content} for turn in request.conversation]
    if request.criteria:
        turns[-1]["content"] += f"\n\n{request.criteria}"
    return [*turns, {"role": "assistant", "content": answer}]


def check_reward_model(directory: Path) -> Path:
    """Check an adapter directory by its files, without loading a model.

    Returns:
        The base's directory.

    Raises:
        AdapterError: It is not a reward model, or has another base.
        ModelError: Its base is unavailable.
    """
    config = read_json(directory / "adapter_config.json")
    if config.get("task_type") != "SEQ_CLS":
        raise AdapterError(f"{directory}: not a reward model: train one with tunegate train reward")
    if not (directory / "adapter_model.safetensors").is_file():
        raise AdapterError(f"{directory}: no adapter_model.safetensors; did training finish?")
    base_dir = resolve_model(str(config.get("base_model_name_or_path")), recorded=True)
    training = read_training(directory)
    trained_on = None if training is None else training.base_sha256
    if trained_on is not None and not is_model(base_dir, trained_on):
        raise AdapterError(f"{directory}: trained on another base than {base_dir}")
    return base_dir
