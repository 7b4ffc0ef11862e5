"""The tokenizer of a training run, with the chat template that was asked for."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from harness.engines.adapter import read_json
from harness.errors import PromptError, SettingsError
from harness.prompts import tokenizers
from harness.prompts.rendering import begin_ids, text_ids
from harness.prompts.training import render_example
from harness.types import GenerationSettings
from trainers.config import TrainingConfig, rendering_of
from trainers.run.training_run import TrainingRun
from tunegate.printable import shown_value

# Templates that end an answer with the tokenizer's own end token, for bases that know no chat.
_OF_BARE_BASES = {
    "alpaca": (
        "{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}"
        "{% elif message['role'] == 'user' %}"
        "{{ '### Instruction:\n' + message['content'] + '\n\n### Response:\n' }}"
        "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token + '\n\n' }}"
        "{% else %}{{ raise_exception('alpaca has no turns of tools') }}{% endif %}{% endfor %}"
    ),
    "zephyr": (
        "{% for message in messages %}{% if message['role'] == 'tool' %}"
        "{{ raise_exception('zephyr has no turns of tools') }}{% endif %}"
        "{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
    ),
}
_STAND_IN = "STANDS-IN-FOR-AN-ANSWER"


def load_tokenizer(base_dir: Path, config: TrainingConfig) -> Any:
    """The tokenizer to train with: it pads, and its chat template is the configuration's, if that gives one.

    A template that ends an answer with another token than the model's end tokens makes it the tokenizer's end
    token, so that sampling and the gate stop there.

    Args:
        base_dir: The base model's directory.
        config: The run's configuration.

    Raises:
        InputError: The tokenizer or the template can't be loaded.
    """
    tokenizer = tokenizers.with_padding(tokenizers.load_tokenizer(base_dir, config.adapter))
    if config.chat_template is None:
        return tokenizer
    tokenizer.chat_template = _template(config.chat_template, tokenizer)
    found = _end_of(tokenizer, rendering_of(config))
    special = [token for token in found if _is_mark(tokenizer, token)]
    if special and not set(found) & stored_ends(base_dir, tokenizer):
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(special[0])
    return tokenizer


def _template(wanted: str | Path, tokenizer: Any) -> str:
    if isinstance(wanted, Path):
        try:
            return wanted.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"chat_template: {wanted}: can't be read: {error}") from error
    if wanted in _OF_BARE_BASES:
        if tokenizer.eos_token is None:
            raise SettingsError(f"chat_template: {wanted} needs an end token, and the tokenizer has none")
        # As with plain text, the tokenizer's own beginning comes first.
        begin = str(tokenizer.decode(begin_ids(tokenizer)))
        return "{{- " + json.dumps(begin) + " -}}" + _OF_BARE_BASES[wanted]
    shipped = _shipped()
    if wanted not in shipped:
        names = ", ".join([*_OF_BARE_BASES, *sorted(shipped)])
        raise SettingsError(
            f"chat_template: found {shown_value(wanted)} (allowed: a .jinja file, or {names})"
        )
    return str(shipped[wanted].read_text(encoding="utf-8"))


def _shipped() -> dict[str, Any]:
    """The models' own templates that TRL ships, by name; not those that it changed for training."""
    from importlib.resources import files

    found = (files("trl") / "chat_templates").iterdir()
    names = {file.name.removesuffix(".jinja"): file for file in found if file.name.endswith(".jinja")}
    return {name: file for name, file in names.items() if not name.endswith("_training")}


def _is_mark(tokenizer: Any, token: int) -> bool:
    """Whether a token is special; not the one for unknown text, which a mark may be to this tokenizer."""
    added = getattr(tokenizer, "added_tokens_decoder", {}).get(token)
    special = token in tokenizer.all_special_ids or (added is not None and bool(added.special))
    return special and token not in {tokenizer.unk_token_id, tokenizer.pad_token_id}


def stored_ends(base_dir: Path, tokenizer: Any) -> set[int]:
    """The end tokens of a model that isn't loaded.

    Args:
        base_dir: The model's directory.
        tokenizer: The model's.

    Returns:
        Those that its configuration names, and the tokenizer's.
    """
    settings = base_dir / "generation_config.json"
    found = read_json(settings if settings.is_file() else base_dir / "config.json").get("eos_token_id")
    ends = {*(found if isinstance(found, list) else [found]), tokenizer.eos_token_id}
    return {end for end in ends if isinstance(end, int)}


def _end_of(tokenizer: Any, settings: GenerationSettings) -> list[int]:
    """The tokens that the template writes after an answer."""
    try:
        turns = [{"role": "user", "content": _STAND_IN}]
        _, learnt = render_example(tokenizer, turns, _STAND_IN, settings)
    except PromptError:
        return []  # each row that is refused is named by line
    return text_ids(tokenizer, learnt.rpartition(_STAND_IN)[2])


def report_template(run: TrainingRun[TrainingConfig], tokenizer: Any, ends: Collection[int]) -> None:
    """Say what a reader of the plan would not expect of the prompts' and answers' form.

    Args:
        run: The run, on whose console it is printed.
        tokenizer: The base's, with its own chat template.
        ends: Tokens that end an answer at the gate.
    """
    if tokenizer.chat_template is None:
        run.console.print(
            "prompts   plain text, each answer directly after its prompt, as the gate asks a base without a "
            "chat template; chat_template gives it one"
        )
    if (problem := end_problem(tokenizer, run.config, ends)) is not None:
        run.console.print(f"end       {problem}")


def end_problem(tokenizer: Any, config: TrainingConfig, ends: Collection[int]) -> str | None:
    """Why no answer would end, if the chat template writes no end token after it.

    Args:
        tokenizer: The base's, with its own chat template.
        config: Values for the template.
        ends: Tokens that end an answer at the gate.
    """
    if set(_end_of(tokenizer, rendering_of(config))) & set(ends):
        return None
    known = ", ".join(repr(tokenizer.decode([token])) for token in sorted(ends)) or "none"
    return (
        f"is not learnt: the chat template writes none of the end tokens ({known}) after an answer, so the "
        "model may not stop; give another chat_template"
    )
