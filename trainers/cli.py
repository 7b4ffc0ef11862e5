"""``tunegate train METHOD CONFIG.yaml``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from trainers.config import example, load_config, with_leaks


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
        module="trainers.sft",
        config="SftConfig",
        help="Supervised fine-tuning on answers (QLoRA by default).",
        example=_example("train.jsonl", "sft"),
    ),
    "dpo": Method(
        module="trainers.dpo",
        config="DpoConfig",
        help="Direct preference optimisation on chosen and rejected answers.",
        example=_example("pairs.jsonl", "dpo"),
    ),
    "orpo": Method(
        module="trainers.orpo",
        config="OrpoConfig",
        help="Odds-ratio preference optimisation: SFT and preferences in one stage, without a reference.",
        example=_example("pairs.jsonl", "orpo"),
    ),
    "kto": Method(
        module="trainers.kto",
        config="KtoConfig",
        help="Kahneman-Tversky optimisation on thumbs up and down.",
        example=_example("thumbs.jsonl", "kto"),
    ),
    "reward": Method(
        module="trainers.reward",
        config="RewardConfig",
        help="A reward model from chosen and rejected answers.",
        example=_example("pairs.jsonl", "reward"),
    ),
    "continual": Method(
        module="trainers.continual",
        config="ContinualConfig",
        help="Continual pretraining on raw text, packed.",
        example=_example("text.jsonl", "continual"),
    ),
    "grpo": Method(
        module="trainers.grpo",
        config="GrpoConfig",
        help="Group-relative policy optimisation on rewards.",
        example={**_example("prompts.jsonl", "grpo"), "rewards": "[{type: json-valid}]"},
    ),
    "rft": Method(
        module="trainers.rft",
        config="RftConfig",
        help="Reward-function fine-tuning: sample, score, learn the best, and again.",
        example={**_example("prompts.jsonl", "rft"), "rewards": "[{type: json-valid}]"},
    ),
    "rloo": Method(
        module="trainers.rloo",
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
        module="trainers.rlhf",
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

app = typer.Typer(help="Train an adapter: tunegate train sft CONFIG.yaml", no_args_is_help=True)


@app.callback()
def _methods() -> None:
    """Train an adapter: one command a method."""


def _command(name: str, method: Method) -> Callable[..., None]:
    def run(
        config: Annotated[Path | None, typer.Argument(help="YAML configuration.")] = None,
        output: Annotated[
            Path | None, typer.Option(help="Adapter directory, in place of the configuration's.")
        ] = None,
        resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
        allow_leakage: Annotated[
            bool, typer.Option("--allow-leakage", help="Train although golden cases stand in the data.")
        ] = False,
        init: Annotated[
            bool, typer.Option("--init", help="Print a commented configuration and stop.")
        ] = False,
    ) -> None:
        module: Any = import_module(method.module)
        kind = getattr(module, method.config)
        if init:
            typer.echo(example(kind, method.example), nl=False)
            return
        if config is None:
            raise typer.BadParameter(f"give a configuration, or --init for an example of {name}")
        settings = load_config(config, kind, {"output": output})
        raise typer.Exit(module.train(with_leaks(settings) if allow_leakage else settings, resume=resume))

    return run


for _name, _method in METHODS.items():
    app.command(_name, help=_method.help)(_command(_name, _method))
