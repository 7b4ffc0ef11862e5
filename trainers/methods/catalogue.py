"""The training methods of ``tunegate train``: the built-in ones, then those of plug-ins."""

from collections.abc import Mapping

from harness.registry import TrainMethod, active


def _example(data: str, method: str) -> dict[str, str]:
    return {"base": "smollm2", "data": data, "output": f"adapters/{method}"}


_ALL: tuple[TrainMethod, ...] = (
    TrainMethod(
        name="sft",
        train="trainers.methods.sft:train",
        config="trainers.methods.sft:SftConfig",
        help="Supervised fine-tuning on answers (QLoRA by default).",
        example=_example("train.jsonl", "sft"),
    ),
    TrainMethod(
        name="dpo",
        train="trainers.methods.dpo:train",
        config="trainers.methods.dpo:DpoConfig",
        help="Direct preference optimisation on chosen and rejected answers.",
        example=_example("pairs.jsonl", "dpo"),
    ),
    TrainMethod(
        name="orpo",
        train="trainers.methods.orpo:train",
        config="trainers.methods.orpo:OrpoConfig",
        help="Odds-ratio preference optimisation: SFT and preferences in one stage, without a reference.",
        example=_example("pairs.jsonl", "orpo"),
    ),
    TrainMethod(
        name="kto",
        train="trainers.methods.kto:train",
        config="trainers.methods.kto:KtoConfig",
        help="Kahneman-Tversky optimisation on thumbs up and down.",
        example=_example("thumbs.jsonl", "kto"),
    ),
    TrainMethod(
        name="reward",
        train="trainers.methods.reward:train",
        config="trainers.methods.reward:RewardConfig",
        help="A reward model from chosen and rejected answers.",
        example=_example("pairs.jsonl", "reward"),
    ),
    TrainMethod(
        name="continual",
        train="trainers.methods.continual:train",
        config="trainers.methods.continual:ContinualConfig",
        help="Continual pretraining on raw text, packed.",
        example=_example("text.jsonl", "continual"),
    ),
    TrainMethod(
        name="grpo",
        train="trainers.methods.grpo:train",
        config="trainers.methods.grpo:GrpoConfig",
        help="Group-relative policy optimisation on rewards.",
        example={**_example("prompts.jsonl", "grpo"), "rewards": "[{type: json-valid}]"},
    ),
    TrainMethod(
        name="rft",
        train="trainers.methods.rft:train",
        config="trainers.methods.rft:RftConfig",
        help="Reward-function fine-tuning: sample, score, learn the best, and again.",
        example={**_example("prompts.jsonl", "rft"), "rewards": "[{type: json-valid}]"},
    ),
    TrainMethod(
        name="rloo",
        train="trainers.methods.rloo:train",
        config="trainers.methods.rloo:RlooConfig",
        help="Reinforcement learning against a reward model, kept near the start by KL.",
        example={**_example("prompts.jsonl", "rloo"), "reward_model": "adapters/reward"},
    ),
    TrainMethod(
        name="ppo",
        train="trainers.methods.ppo:train",
        config="trainers.methods.ppo:PpoConfig",
        help="Proximal policy optimisation against a reward model, with a value head.",
        example={**_example("prompts.jsonl", "ppo"), "reward_model": "adapters/reward"},
    ),
    TrainMethod(
        name="multitask",
        train="trainers.multitask.train:train",
        config="trainers.multitask.train:MultitaskConfig",
        help="Labels, entities and spans: several heads on one shared encoder.",
        example={
            "base": "minilm",
            "tasks": "[{name: intent, kind: label, data: intent.jsonl, eval_data: intent_held_out.jsonl}]",
            "output": "models/multitask",
        },
    ),
    TrainMethod(
        name="rlhf",
        train="trainers.methods.rlhf:train",
        config="trainers.methods.rlhf:RlhfConfig",
        help="RLHF in one recipe: sft, reward and rloo, one after the other.",
        example={
            "base": "smollm2",
            "output": "adapters/rlhf",
            "sft": "{data: train.jsonl}",
            "reward": "{data: pairs.jsonl}",
            "rloo": "{data: prompts.jsonl}",
        },
    ),
)

METHODS: Mapping[str, TrainMethod] = {method.name: method for method in _ALL}


def train_methods() -> Mapping[str, TrainMethod]:
    """All methods by name."""
    return active().merged(TrainMethod, METHODS)
