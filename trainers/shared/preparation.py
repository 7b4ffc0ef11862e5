"""Before the first step: the trained weights, their type of numbers, and the plan that is printed."""

from typing import Any

from harness.errors import SettingsError
from trainers.config import TrainingConfig
from trainers.run.training_run import TrainingRun
from trainers.run.virtual_tokens import begin_as_text

# Below this share of weights in 4 bits the memory of a training is another than nf4 promises.
_MOSTLY = 0.5


def make_ready(
    run: TrainingRun[TrainingConfig],
    trainer: Any,
    tokenizer: Any,
    data: str,
    log: Any = None,
    *,
    begun: bool = False,
) -> None:
    """Correct some settings of TRL, and print a summary of the training.

    Args:
        run: The run.
        trainer: TRL's trainer.
        tokenizer: The base's, with its own chat template.
        data: The number of rows and the files.
        log: The training's log, where it is not that of a single training from the first step.
        begun: The model has learnt already, such as in a round before: it keeps its weights.
    """
    import torch
    from transformers.trainer_callback import PrinterCallback

    from trainers.measure.training_log import TrainingLog

    # It prints every log as a dictionary; the watch shows the same.
    trainer.remove_callback(PrinterCallback)
    if run.config.peft.method in {"prefix", "prompt"} and not begun:
        try:
            begin_as_text(trainer.model, tokenizer, run.config.peft.init_text)
        except ValueError as error:
            # PEFT's keys have as many heads as there are queries; Falcon has one head of keys.
            problem = f"{' '.join(str(error).split())}; choose another kind for this base"
            raise SettingsError(f"peft.method: {run.config.peft.method}: {problem}") from error
    if run.dtype != torch.bfloat16:
        _train_in_float32(run, trainer.model, begun=begun)
    if run.config.early_stop.golden:
        from trainers.measure.early_stop import GoldenStop

        trainer.add_callback(GoldenStop(run, run.config.early_stop, tokenizer, trainer.log))
    trainer.add_callback(log or TrainingLog(run.work))
    _print_plan(run, trainer, data)


def _train_in_float32(run: TrainingRun[TrainingConfig], model: Any, *, begun: bool) -> None:
    """Store the trained weights in 32 bits.

    On a 4-bit base TRL stores them in bfloat16, even if everything else is float32: small updates would be
    lost by rounding, and a new head would not fit its inputs. Weights in float16 can't be trained at all: the
    scaled gradients need a larger range. The layers still compute in float16 there.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    if run.config.adapter is not None and not begun:
        # The starting weights were rounded before.
        from peft import load_peft_weights, set_peft_model_state_dict

        set_peft_model_state_dict(model, load_peft_weights(str(run.config.adapter), device="cpu"))


def _print_plan(run: TrainingRun[TrainingConfig], trainer: Any, data: str) -> None:
    from trainers.run.base_model import dtype_name
    from trainers.run.trained_weights import describe_trained

    config = run.config
    run.console.print(
        f"method    {run.method}\n"
        f"base      {config.base} ({config.quantization}, {dtype_name(run.dtype)} on {trainer.args.device})\n"
        f"data      {data}\n"
        f"trained   {describe_trained(trainer.model)}\n"
        f"output    {config.output}"
    )
    share = _quantised_share(trainer.model)
    if config.quantization == "nf4" and share < _MOSTLY:
        run.console.print(
            f"memory    only {share:.0%} of the base's weights are in 4 bits: bitsandbytes stores plain "
            f"linear layers so, and others, such as a mixture's experts, stay in {dtype_name(run.dtype)}"
        )


def _quantised_share(model: Any) -> float:
    """The share of the frozen weights, embeddings apart, that bitsandbytes stores in 4 bits."""
    small = [module for module in model.modules() if type(module).__name__ == "Linear4bit"]
    in_4_bits = sum(module.in_features * module.out_features for module in small)
    ends = {id(each.weight) for each in _embeddings(model) if hasattr(each, "weight")}
    whole = sum(
        parameter.numel()
        for parameter in model.parameters()
        if not parameter.requires_grad and parameter.is_floating_point() and id(parameter) not in ends
    )
    return float(in_4_bits / max(in_4_bits + whole, 1))


def _embeddings(model: Any) -> list[Any]:
    found = [model.get_input_embeddings()]
    if hasattr(model, "get_output_embeddings"):
        found.append(model.get_output_embeddings())
    return found
