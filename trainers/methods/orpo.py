"""Odds-ratio preference optimisation: learn the chosen answer, and its odds over the rejected one, at once.

    python -m trainers.methods.orpo CONFIG.yaml [--output DIR] [--resume]

The loss of a pair, chosen y⁺ and rejected y⁻, with λ the key ``beta`` (Hong, Lee and Thorne 2024, ORPO:
Monolithic Preference Optimization without Reference Model, arXiv:2403.07691, equations 6 and 7; odds:
equation 4):

    L = - mean_t log π(y⁺_t | x, y⁺_<t) - λ log σ(log odds(y⁺|x) / odds(y⁻|x)),   odds = P / (1 - P)

P is the answer's geometric mean probability a token (equation 3). TRL: ``ORPOTrainer`` of its experimental
part, with its tokens and its first term replaced: both terms are of answers given their prompt, and the
prompt's own tokens are not learnt. There is no reference model, so it starts well from a bare base.
"""

import sys
from typing import Annotated, Any, cast

from pydantic import Field

from harness.prompts.rendering import text_ids
from trainers.config import PreferenceConfig
from trainers.data.leakage import without_leaks
from trainers.data.preferences import load_pairs
from trainers.data.rows import Row
from trainers.run.entry import run_module
from trainers.run.training_run import TrainingRun
from trainers.shared.preference_run import train_preferences


class OrpoConfig(PreferenceConfig):
    """Odds-ratio preference optimisation."""

    beta: Annotated[float, Field(gt=0, description="Weight of the odds ratio (the paper's lambda).")] = 0.1


def train(config: OrpoConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration.
        resume: Continue from the last checkpoint.

    Returns:
        0, or 2 after Ctrl-C.

    Raises:
        InputError: Data, base model or settings can't be used.
    """
    pairs = without_leaks(load_pairs(config.data, config.max_rows), config)
    return train_preferences("orpo", config, pairs, ("chosen", "rejected"), _trainer, resume=resume)


def _trainer(run: TrainingRun[OrpoConfig], **parts: Any) -> Any:
    from trl.experimental.orpo import ORPOConfig as TrlConfig
    from trl.experimental.orpo import ORPOTrainer

    from trainers.run.arguments import trl_arguments

    class Trainer(ORPOTrainer):
        """TRL's, but for three things.

        Its own tokenize_row adds a BOS and an end token that the chat template does not write, its
        likelihood of the chosen answer is that of the prompt as well, and it knows no virtual tokens.
        """

        def tokenize_row(self, feature: Row, model: Any = None) -> Row:
            return answer_tokens(self.processing_class, feature)

        def concatenated_forward(self, model: Any, batch: Row) -> tuple[Any, ...]:
            def answered(ids: Any, **options: Any) -> Any:
                outputs = model(ids, **options)
                # Virtual tokens come before the rows, with logits of their own.
                outputs.logits = outputs.logits[:, -ids.shape[1] :]
                return outputs

            # TRL only calls it.
            found = super().concatenated_forward(cast(Any, answered), batch)
            chosen_logits, learnt = found[2], batch["chosen_labels"]
            return (*found[:4], answer_loss(chosen_logits, learnt), *found[5:])

    config = run.config
    return Trainer(
        args=trl_arguments(
            TrlConfig,
            run,
            max_length=config.max_length,
            beta=config.beta,
        ),
        **parts,
    )


def answer_tokens(tokenizer: Any, texts: Row) -> Row:
    """The tokens of a pair, as all other methods have them.

    Args:
        tokenizer: The base's.
        texts: The rendered texts ``prompt``, ``chosen`` and ``rejected``.

    Returns:
        The columns of TRL's ORPO: for each answer its tokens after the prompt's, their mask, and labels for
        the answer alone; and the prompt's tokens.
    """
    prompt = text_ids(tokenizer, texts["prompt"])
    found: Row = {"prompt_input_ids": prompt, "prompt_attention_mask": [1] * len(prompt)}
    for key in ("chosen", "rejected"):
        tokens = text_ids(tokenizer, texts["prompt"] + texts[key])
        found[f"{key}_input_ids"] = tokens
        found[f"{key}_attention_mask"] = [1] * len(tokens)
        found[f"{key}_labels"] = [-100] * len(prompt) + tokens[len(prompt) :]
    return found


def answer_loss(logits: Any, labels: Any) -> Any:
    """The mean cross-entropy of the answers' tokens given the prompt, over all of a batch.

    Args:
        logits: The model's, without the last position: (batch, tokens - 1, vocabulary). There may be more
            positions than labels, where rejected answers are longer than chosen ones.
        labels: The tokens, -100 for those of the prompt and for padding: (batch, tokens).
    """
    from torch.nn.functional import cross_entropy

    targets = labels[:, 1:].to(logits.device)
    predicted = logits[:, : targets.shape[1]]
    return cross_entropy(predicted.flatten(0, 1).float(), targets.flatten(), ignore_index=-100)


if __name__ == "__main__":
    sys.exit(run_module("trainers.methods.orpo", OrpoConfig, train))
