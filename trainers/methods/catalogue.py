"""The training methods that the command line and the advice know."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A trainer as the command line sees it.

    Attributes:
        module: Where its ``train`` function and its configuration class are.
        config: The configuration class's name.
        help: One line.
        example: Values of the required keys in the configuration that ``--init`` prints.
    """

    module: str
    config: str
    help: str
    example: Mapping[str, str]


def _example(data: str, method: str) -> dict[str, str]:
    return {"base": "smollm2", "data": data, "output": f"adapters/{method}"}


METHODS: Mapping[str, Method] = {
    "sft": Method(
        module="trainers.methods.sft",
        config="SftConfig",
        help="Supervised fine-tuning on answers (QLoRA by default).",
        example=_example("train.jsonl", "sft"),
    ),
    "dpo": Method(
        module="trainers.methods.dpo",
        config="DpoConfig",
        help="Direct preference optimisation on chosen and rejected answers.",
        example=_example("pairs.jsonl", "dpo"),
    ),
    "orpo": Method(
        module="trainers.methods.orpo",
        config="OrpoConfig",
        help="Odds-ratio preference optimisation: SFT and preferences in one stage, without a reference.",
        example=_example("pairs.jsonl", "orpo"),
    ),
    "kto": Method(
        module="trainers.methods.kto",
        config="KtoConfig",
        help="Kahneman-Tversky optimisation on thumbs up and down.",
        example=_example("thumbs.jsonl", "kto"),
    ),
    "reward": Method(
        module="trainers.methods.reward",
        config="RewardConfig",
        help="A reward model from chosen and rejected answers.",
        example=_example("pairs.jsonl", "reward"),
    ),
    "continual": Method(
        module="trainers.methods.continual",
        config="ContinualConfig",
        help="Continual pretraining on raw text, packed.",
        example=_example("text.jsonl", "continual"),
    ),
    "grpo": Method(
        module="trainers.methods.grpo",
        config="GrpoConfig",
        help="Group-relative policy optimisation on rewards.",
        example={**_example("prompts.jsonl", "grpo"), "rewards": "[{type: json-valid}]"},
    ),
    "rft": Method(
        module="trainers.methods.rft",
        config="RftConfig",
        help="Reward-function fine-tuning: sample, score, learn the best, and again.",
        example={**_example("prompts.jsonl", "rft"), "rewards": "[{type: json-valid}]"},
    ),
    "rloo": Method(
        module="trainers.methods.rloo",
        config="RlooConfig",
        help="Reinforcement learning against a reward model, held near the start by KL.",
        example={**_example("prompts.jsonl", "rloo"), "reward_model": "adapters/reward"},
    ),
    "multitask": Method(
        module="trainers.multitask.train",
        config="MultitaskConfig",
        help="Labels, entities and spans: several heads on one shared encoder.",
        example={
            "base": "minilm",
            "tasks": "[{name: intent, kind: label, data: intent.jsonl, eval_data: intent_held_out.jsonl}]",
            "output": "models/multitask",
        },
    ),
    "rlhf": Method(
        module="trainers.methods.rlhf",
        config="RlhfConfig",
        help="RLHF in one recipe: sft, reward and rloo, one after the other.",
        example={
            "base": "smollm2",
            "output": "adapters/rlhf",
            "sft": "{data: train.jsonl}",
            "reward": "{data: pairs.jsonl}",
            "rloo": "{data: prompts.jsonl}",
        },
    ),
}
