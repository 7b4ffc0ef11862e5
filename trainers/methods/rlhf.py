"""RLHF in its three stages as one recipe: supervised fine-tuning, a reward model, a policy trained on it.

    python -m trainers.methods.rlhf CONFIG.yaml [--output DIR] [--resume]

The stages are ``trainers.methods.sft``, ``trainers.methods.reward``, and ``trainers.methods.rloo`` or
``trainers.methods.ppo``, each with its own section of the configuration, and its loss in its own file.
Adapters of the first two are stored in DIR.stages. With --resume a finished stage is not repeated, and one
that was stopped continues from its last checkpoint.

Ouyang et al. (2022), InstructGPT, arXiv:2203.02155.
"""

import gc
import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NoReturn, Self, TypeAlias, TypeVar, cast

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from harness.engines.adapter import read_training
from harness.errors import SettingsError
from harness.presentation.console import open_console
from trainers.config import DtypeName, RunConfig, TrainingConfig, default_rate, refuse, template_place
from trainers.config_file import begins_with_key
from trainers.data.sources import read_source
from trainers.methods import ppo, reward, rloo, sft
from trainers.run.entry import run_module
from trainers.run.processes import require_one_process
from trainers.run.work_directory import can_resume, refuse_foreign, work_directory

_OF_RECIPE = "What the recipe sets."
_COMMON = frozenset({"quantization", "dtype", "seed", "golden", "leakage", "chat_template"})
_MODULES: Mapping[str, Any] = {"sft": sft, "reward": reward, "rloo": rloo, "ppo": ppo}
# The stages in order: name, configuration, and the function that trains it.
_Plan: TypeAlias = list[tuple[str, TrainingConfig, Callable[..., int]]]


def _refused(value: object) -> NoReturn:
    raise PydanticCustomError("recipe", "none; the recipe sets it")


# A stage's key that the recipe sets; its value before that is not read. Defaults aren't validated, so only
# a value from the file is refused.
_SetByRecipe = BeforeValidator(_refused)


class SftStage(sft.SftConfig):
    """The first stage's own keys."""

    base: Annotated[str, _SetByRecipe, Field(description=_OF_RECIPE)] = ""
    output: Annotated[Path, _SetByRecipe, Field(description=_OF_RECIPE)] = Path()


class RewardStage(reward.RewardConfig):
    """The second stage's own keys."""

    base: Annotated[str, _SetByRecipe, Field(description=_OF_RECIPE)] = ""
    output: Annotated[Path, _SetByRecipe, Field(description=_OF_RECIPE)] = Path()


class RlooStage(rloo.RlooConfig):
    """The third stage's own keys."""

    base: Annotated[str, _SetByRecipe, Field(description=_OF_RECIPE)] = ""
    output: Annotated[Path, _SetByRecipe, Field(description=_OF_RECIPE)] = Path()
    adapter: Annotated[Path | None, _SetByRecipe, Field(description=_OF_RECIPE)] = None
    reward_model: Annotated[Path, _SetByRecipe, Field(description=_OF_RECIPE)] = Path()
    unread: ClassVar[Mapping[str, str]] = {
        "peft": "the adapter of sft is trained further and keeps its kind and shape; give it under sft"
    }


class PpoStage(ppo.PpoConfig):
    """The third stage's own keys, if it is PPO."""

    base: Annotated[str, _SetByRecipe, Field(description=_OF_RECIPE)] = ""
    output: Annotated[Path, _SetByRecipe, Field(description=_OF_RECIPE)] = Path()
    adapter: Annotated[Path | None, _SetByRecipe, Field(description=_OF_RECIPE)] = None
    reward_model: Annotated[Path, _SetByRecipe, Field(description=_OF_RECIPE)] = Path()
    unread: ClassVar[Mapping[str, str]] = {**ppo.PpoConfig.unread, **RlooStage.unread}


class RlhfConfig(RunConfig):
    """RLHF: supervised fine-tuning, a reward model, policy optimisation."""

    output: Annotated[Path, Field(description="Adapter directory of the last stage, relative to this file.")]
    quantization: Annotated[
        Literal["nf4", "none"], Field(description="As in each stage; it applies to all three.")
    ] = "nf4"
    dtype: Annotated[
        DtypeName,
        Field(description="As in each stage; it applies to all three."),
    ] = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**32, description="Seed of all three stages.")] = 0
    chat_template: Annotated[
        Path | str | None,
        BeforeValidator(template_place),
        Field(description="As in each stage; it applies to all three."),
    ] = None
    sft: Annotated[SftStage, Field(description="Keys of sft, without base and output.")]
    reward: Annotated[RewardStage, Field(description="Keys of reward, without base and output.")]
    rloo: Annotated[
        RlooStage | None, Field(description="Keys of rloo, without base, output, adapter and reward_model.")
    ] = None
    ppo: Annotated[PpoStage | None, Field(description="Keys of ppo in place of rloo, without the same.")] = (
        None
    )

    @model_validator(mode="before")
    @classmethod
    def _common_keys_stand_once(cls, given: Any) -> Any:
        """A stage's keys agree or not with the quantization that the recipe gives it."""
        if not isinstance(given, dict):
            return given
        stages = {name: given[name] for name in _MODULES if isinstance(given.get(name), dict)}
        for name, stage in stages.items():
            if common := sorted(_COMMON & set(stage)):
                refuse(f"{name}.{common[0]}: give {common[0]} once, next to base; it applies to all stages")
        passed = {key: given[key] for key in ("quantization",) if key in given}
        stages = {name: {**stage, **passed} for name, stage in stages.items()}
        peft = stages.get("sft", {}).get("peft")
        method = str(peft.get("method", "lora")) if isinstance(peft, dict) else "lora"
        for name, kind in (("rloo", rloo.RlooConfig), ("ppo", ppo.PpoConfig)):
            if name in stages:
                # The last stage trains the first one's adapter further.
                stages[name] = {"learning_rate": default_rate(kind, method), **stages[name]}
        return {**given, **stages}

    @model_validator(mode="after")
    def _last_stage_trains_the_first_ones_adapter(self) -> Self:
        if (self.rloo is None) == (self.ppo is None):
            refuse("the last stage is rloo or ppo: give one of them")
        peft = self.sft.peft
        why = {
            "full": "full has none",
            **dict.fromkeys(("prefix", "prompt"), "virtual tokens can't be trained further"),
        }
        if peft.method in why:
            refuse(
                f"sft.peft.method: the last stage trains the adapter of sft further, and {why[peft.method]}"
            )
        if self.ppo is not None and (problem := ppo.adapter_problem(peft)):
            refuse(f"sft.{problem}")
        return self


def train(config: RlhfConfig, *, resume: bool = False) -> int:
    """Run the stages, one after the other.

    Args:
        config: The recipe.
        resume: Skip finished stages, and continue in the one that was stopped.

    Returns:
        0, or 2 after Ctrl-C.

    Raises:
        InputError: A stage's data or settings can't be used.
    """
    require_one_process("rlhf")
    stages = config.output.with_name(config.output.name + ".stages")
    console = open_console(file=sys.stderr, soft_wrap=True)
    common = {"base": config.base, **{name: getattr(config, name) for name in _COMMON}}
    first = {**common, "output": stages / "sft"}
    second = {**common, "output": stages / "reward"}
    third = {
        **common,
        "output": config.output,
        "adapter": stages / "sft",
        "reward_model": stages / "reward",
    }
    plan: _Plan = [
        ("sft", _stage(sft.SftConfig, config.sft, first), sft.train),
        ("reward", _stage(reward.RewardConfig, config.reward, second), reward.train),
        _last_stage(config, third),
    ]
    _check(plan, config.output, stages)
    if not resume:
        shutil.rmtree(stages, ignore_errors=True)
    earlier_done = resume
    for number, (name, stage, run) in enumerate(plan, start=1):
        earlier_done = earlier_done and _finished(name, stage)
        if earlier_done:
            console.print(f"stage {number}/{len(plan)}  {name}: finished before, kept in {stage.output}")
            continue
        console.print(f"stage {number}/{len(plan)}  {name}")
        stopped = resume and can_resume(work_directory(stage.output), stage, _content(stage))
        with _named(name, stage):
            status = run(stage, resume=stopped)
        _free_memory()
        if status:
            return status
        # Later stages depend on the result of a stage that ran again.
        resume = False
    return 0


def _check(plan: _Plan, output: Path, stages: Path) -> None:
    """Find the faults of later stages before the first one takes its hours, and before anything is deleted.

    Args:
        plan: The stages.
        output: The last stage's output.
        stages: The directory of the first two stages' results.

    Raises:
        InputError: A stage's data or keys can't be used, or something else is in a result's place.
    """
    refuse_foreign(output)
    known = {f"{name}{ending}" for name in ("sft", "reward") for ending in ("", ".work")}
    if stages.exists() and (not stages.is_dir() or {path.name for path in stages.iterdir()} - known):
        raise SettingsError(
            f"output: {stages} has files that no recipe wrote, and they would be replaced; give another"
        )
    for name, stage, _ in plan:
        with _named(name, stage):
            _check_stage(name, stage)


def _check_stage(name: str, stage: TrainingConfig) -> None:
    # Embeddings take their time, and the stage itself looks for golden cases in all ways.
    quick = stage.leakage.model_copy(update={"embedding": None})
    _MODULES[name].read_data(stage.model_copy(update={"leakage": quick}))
    for source in getattr(stage, "eval_data", ()):
        read_source(source)
    if stage.trl:
        import transformers
        import trl

        from trainers.run.trl_keys import check_keys

        kinds = {"sft": trl.SFTConfig, "reward": trl.RewardConfig, "rloo": trl.RLOOConfig}
        check_keys(stage, kinds.get(name, transformers.TrainingArguments))


@contextmanager
def _named(name: str, stage: TrainingConfig) -> Iterator[None]:
    """Put a stage's name before a fault of one of its keys."""
    try:
        yield
    except SettingsError as error:
        own = not any(str(error).startswith((f"{key}:", f"{key}.")) for key in (*_COMMON, "base", "output"))
        if type(error) is SettingsError and own and begins_with_key(str(error), type(stage)):
            raise SettingsError(f"{name}.{error}") from error
        raise


def _free_memory() -> None:
    """Let a stage's models go before the next one loads its own: a trainer refers to itself in circles."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _last_stage(
    config: RlhfConfig, set_here: Mapping[str, Any]
) -> tuple[str, TrainingConfig, Callable[..., int]]:
    if config.rloo is not None:
        return "rloo", _stage(rloo.RlooConfig, config.rloo, set_here), rloo.train
    return "ppo", _stage(ppo.PpoConfig, cast(PpoStage, config.ppo), set_here), ppo.train


StageT = TypeVar("StageT", bound=TrainingConfig)


def _stage(kind: type[StageT], keys: StageT, set_here: Mapping[str, Any]) -> StageT:
    """A stage's configuration: its own keys, and what the recipe sets."""
    return kind.model_validate({**keys.model_dump(exclude=set(set_here)), **set_here})


def _finished(name: str, stage: TrainingConfig) -> bool:
    """Whether the stage's result exists, made with these settings and this data."""
    manifest = read_training(stage.output)
    return (
        manifest is not None
        and manifest.method == name
        and manifest.config == stage.model_dump(mode="json")
        and manifest.data.sha256 == _content(stage)
    )


def _content(stage: TrainingConfig) -> str:
    return hashlib.sha256(b"".join(read_source(source).content for source in stage.data)).hexdigest()


if __name__ == "__main__":
    sys.exit(run_module("trainers.methods.rlhf", RlhfConfig, train))
