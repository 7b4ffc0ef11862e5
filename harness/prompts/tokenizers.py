"""A model's tokenizer with its chat template, its context and stop texts; its own code is never run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import AdapterError, ModelError, first_line
from harness.types import GenerationSettings
from harness.types.storage import parse_json


def own_code_problem(error: BaseException) -> str | None:
    """What to say if a library refused to load a model because this needs the model's own code; else None.

    Args:
        error: The library's exception.
    """
    said = str(error)
    if "trust_remote_code" not in said and "custom code" not in said:
        return None
    return (
        "it needs its own program code (auto_map), and code of models is not run; save it as an architecture "
        "that transformers has"
    )


def context_length(model_dir: Path) -> int | None:
    """Largest number of tokens of prompt and answer together; None if the model has no limit.

    Raises:
        ModelError: The configuration can't be read.
    """
    try:
        return places(_configuration(model_dir))
    except Exception as error:  # for a damaged or unknown configuration the library may raise any exception
        raise ModelError(f"{model_dir / 'config.json'}: {_config_problem(error)}") from error


def _configuration(directory: Path) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(directory, trust_remote_code=False, local_files_only=True)


def _config_problem(error: Exception) -> str:
    return own_code_problem(error) or f"can't be read: {first_line(error)}; save the model again"


def places(config: Any) -> int | None:
    """The same, of a loaded configuration."""
    text = config.get_text_config(decoder=True)
    found = getattr(text, "max_position_embeddings", None)
    if not isinstance(found, int) or found < 1:
        return None
    # Stretched positions: some configurations give the context before stretching, others the one after.
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    factor, original = rope.get("factor"), rope.get("original_max_position_embeddings")
    if isinstance(factor, int | float):
        # These two give the context before stretching, and have no table of positions that could end.
        plain = found if rope.get("rope_type", rope.get("type")) in {"linear", "dynamic"} else 0
        found = max(found, int(factor * (original if isinstance(original, int) else plain)))
    return found


# Files of which a tokenizer has at least one
_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model", "*.tiktoken", "tekken.json", "*.vocab")


def load_tokenizer(base_dir: Path, adapter_dir: Path | None = None) -> Any:
    """The tokenizer of a model or adapter.

    An adapter's own tokenizer has priority over its base's. Of chat templates ``chat_template.jinja`` next to
    the adapter comes first, then the one in its own tokenizer's configuration, then the base's: an adapter
    that was saved without a template was still trained with one.

    Args:
        base_dir: The model's directory.
        adapter_dir: The adapter's, or None.

    Returns:
        transformers' tokenizer; its ``chat_template`` is None only if none of them has one. The base may have
        no tokenizer, if the adapter has one.

    Raises:
        ModelError: The base's tokenizer can't be loaded.
        AdapterError: The adapter's can't, or its template can't be read.
    """
    if adapter_dir is None or not (adapter_dir / "tokenizer_config.json").is_file():
        tokenizer = _with_template(base_dir, ModelError)
        if adapter_dir is not None:
            _refuse_unused_vocabulary(adapter_dir, base_dir)
            tokenizer.chat_template = _written_template(adapter_dir, AdapterError) or tokenizer.chat_template
        return tokenizer
    tokenizer = _with_template(adapter_dir, AdapterError)
    if tokenizer.chat_template is None and has_tokenizer(base_dir):
        tokenizer.chat_template = _with_template(base_dir, ModelError).chat_template
    return tokenizer


def _with_template(directory: Path, kind: type[ModelError | AdapterError]) -> Any:
    """A directory's tokenizer, with a template of its processor where it has none of its own."""
    tokenizer = _loaded(directory, kind)
    if tokenizer.chat_template is None:
        tokenizer.chat_template = _written_template(directory, kind)
    return tokenizer


def _refuse_unused_vocabulary(adapter_dir: Path, base_dir: Path) -> None:
    """Check that a vocabulary beside an adapter, without which no library would load it, is its base's.

    Raises:
        AdapterError: It is another one.
    """
    for own in adapter_dir.glob("tokenizer.json"):
        of_base = base_dir / own.name
        if not of_base.is_file() or own.read_bytes() != of_base.read_bytes():
            raise AdapterError(
                f"{adapter_dir}: {own.name} without tokenizer_config.json, and another one than its base's: "
                f"save the whole tokenizer beside the adapter, or remove {own.name}"
            )


def has_tokenizer(directory: Path) -> bool:
    """Whether a directory holds a tokenizer's vocabulary."""
    return any(file.is_file() for pattern in _VOCABULARIES for file in directory.glob(pattern))


def with_padding(tokenizer: Any) -> Any:
    """The tokenizer, which pads with its end token if it has no pad token, as those of Llama and Mistral.

    Trainers and judges must agree here: a reward is read at the last token that isn't the pad token.
    """
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def special_texts(tokenizer: Any) -> list[str]:
    """The special tokens as text, longest first."""
    named = {str(text) for text in tokenizer.all_special_tokens}
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    return sorted(named | {token.content for token in added if token.special}, key=len, reverse=True)


def has_own_template(adapter_dir: Path) -> bool:
    """Whether an adapter has its own tokenizer or chat template: then its prompts differ from its base's."""
    names = (
        "tokenizer_config.json",
        "chat_template.jinja",
        "chat_template.json",
        "additional_chat_templates",
    )
    return any((adapter_dir / name).exists() for name in names)


def from_files(directory: Path) -> Any:
    """The tokenizer of a directory, as transformers itself has it.

    Where Mistral's package is installed, as beside vLLM, a directory with ``tekken.json`` would get its
    tokenizer instead, which knows no chat template of ``tokenizer_config.json``: the prompts of one model
    would depend on what else is installed.

    Args:
        directory: Where it was saved.
    """
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(
        directory, trust_remote_code=False, local_files_only=True, mistral_format=False
    )


def _loaded(directory: Path, kind: type[ModelError | AdapterError]) -> Any:
    try:
        found = from_files(directory)
    except Exception as error:  # for a damaged or unknown tokenizer the library may raise any exception
        raise kind(f"{directory}: {_problem_of(directory, error)}") from error
    try:
        # A token that isn't in the vocabulary is looked up as itself, without an end.
        found.unk_token_id  # noqa: B018
    except RecursionError as error:
        raise kind(
            f"{directory}: tokenizer_config.json: unk_token {found.unk_token!r} is not in the "
            f"vocabulary; name a token of it, or null"
        ) from error
    return found


def _problem_of(directory: Path, error: Exception) -> str:
    if problem := own_code_problem(error):
        return f"its tokenizer can't be loaded: {problem}"
    if (directory / "config.json").is_file():
        try:
            content = parse_json((directory / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            content = {}  # told below
        if not isinstance(content, dict):
            found = type(content).__name__
            return f"config.json: can't be read: found {found} (allowed: a JSON object); save the model again"
        try:
            _configuration(directory)
        except Exception as damaged:  # as above; a tokenizer's class may depend on it
            # An unknown kind of model is no damage, and the tokenizer may have its own.
            if first_line(damaged) == first_line(error):
                return f"config.json: {_config_problem(damaged)}"
    if not has_tokenizer(directory):
        remedy = f"save the tokenizer there too, with save_pretrained({str(directory)!r})"
        if directory.parent.name == "snapshots":
            # In the hub's cache: another program has fetched the weights alone.
            name = directory.parents[1].name.removeprefix("models--").replace("--", "/")
            remedy = f"run tunegate model fetch hf:{name}@{directory.name}, which gets what is missing"
        return f"no vocabulary of a tokenizer (such as tokenizer.json) in it; {remedy}"
    return f"its tokenizer can't be loaded: {first_line(error)}; save it again"


def _written_template(directory: Path, kind: type[ModelError | AdapterError]) -> Any:
    """The template files of a directory, which may have no tokenizer: one template, or several by name."""
    try:
        single = directory / "chat_template.jinja"
        older = directory / "chat_template.json"
        found = {
            file.stem: file.read_text(encoding="utf-8")
            for file in sorted((directory / "additional_chat_templates").glob("*.jinja"))
        }
        if single.is_file():
            found["default"] = single.read_text(encoding="utf-8")
        elif older.is_file():
            found["default"] = str(parse_json(older.read_text(encoding="utf-8"))["chat_template"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise kind(
            f"{directory}: its chat template can't be read: {error}; save it as chat_template.jinja"
        ) from error
    return found["default"] if list(found) == ["default"] else found or None


def before_stop(text: str, stops: Sequence[str]) -> str:
    """The text up to the first of its stop texts.

    Args:
        text: The text.
        stops: The stop texts.
    """
    ends = [text.find(stop) for stop in stops if stop in text]
    return text[: min(ends)] if ends else text


def ends_in_stop(tokenizer: Any, tokens: Sequence[int], settings: GenerationSettings) -> bool:
    """Whether the last token is a stop text.

    Args:
        tokenizer: The model's.
        tokens: An answer's.
        settings: Has the stop texts.
    """
    if not tokens or not settings.stop:
        return False
    return str(tokenizer.decode(tokens[-1:], skip_special_tokens=False)).strip() in settings.stop
