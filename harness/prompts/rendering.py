"""The one function that renders a prompt, with a tokenizer's chat template, on a fixed day."""

import datetime
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from harness.errors import PromptError, first_line
from harness.types import GenerationSettings, Message

# Each directive of strftime, which a template may use by a format that need not be in its text.
_DIRECTIVES = (
    *("%-d", "%-m", "%-H", "%-I", "%-M", "%-S", "%-j", "%-y", "%-e", "%-k", "%-l", "%-U", "%-W", "%-V"),
    *("%a", "%A", "%w", "%d", "%b", "%B", "%m", "%y", "%Y", "%H", "%I", "%p", "%M", "%S", "%f", "%j", "%U"),
    *("%W", "%c", "%x", "%X", "%G", "%u", "%V", "%F", "%T", "%D", "%R", "%e", "%z", "%Z"),
    *("%h", "%C", "%g", "%P", "%r", "%k", "%l", "%n", "%t", "%^a", "%^A", "%^b", "%^B", "%#d", "%#m"),
)

# Jinja's two random functions, and how often a prompt of a template that names one is rendered once more.
_DRAWN, _DRAWS = re.compile(r"\b(?:random|lipsum)\b"), 8
_BY_CHANCE = (
    "the chat template writes another prompt each time (random or lipsum), so that no two answers could be "
    "compared; remove that from chat_template.jinja (or chat_template in tokenizer_config.json) of the model"
)

# How many letters of a message are changed, to see whether a prompt that doesn't contain it follows them.
_TRIED_LETTERS = 16


def write_chat(
    tokenizer: Any,
    turns: Sequence[Mapping[str, Any]],
    kwargs: Mapping[str, Any],
    date: str,
    *,
    for_answer: bool,
    tools: Sequence[Any] = (),
) -> str:
    """The conversation rendered by the chat template.

    Args:
        tokenizer: A tokenizer with a chat template.
        turns: Mappings with ``role`` and ``content``.
        kwargs: Further values for the template, such as ``enable_thinking``.
        date: Today's date for the template, as YYYY-MM-DD.
        for_answer: Whether the beginning of an answer is added after the last turn.
        tools: Tools for the template to describe, in OpenAI's format.

    Raises:
        PromptError: The template refuses the conversation, leaves a message out, or can't be run at all.
    """
    described = [dict(tool) for tool in tools] or None

    def written(conversation: Sequence[Mapping[str, Any]]) -> str:
        return str(
            tokenizer.apply_chat_template(
                [dict(turn) for turn in conversation],
                # Of several templates one may be for tools.
                chat_template=pin_date(tokenizer.get_chat_template(tools=described), date),
                add_generation_prompt=for_answer,
                tokenize=False,
                **({"tools": described} if described else {}),
                **kwargs,
            )
        )

    names = [tool["function"]["name"] for tool in tools]
    try:
        text = written(turns)
    except Exception as error:  # a template is a foreign program, which may raise any exception
        if (parts := _in_parts(written, turns, names)) is not None:
            return parts
        raise _refusal(error, turns) from error
    drawn = _DRAWN.search(tokenizer.get_chat_template(tools=described))
    if drawn and any(written(turns) != text for _ in range(_DRAWS)):
        raise PromptError(_BY_CHANCE)
    if unknown := [name for name in names if name not in text]:
        problem = f"the chat template leaves the tool {unknown[0]} out"
        raise PromptError(f"{problem}; skip the case, or leave tools out")
    left_out = _left_out(written, text, turns, names)
    if left_out is None:
        return text
    if (parts := _in_parts(written, turns, names)) is not None:
        return parts
    raise PromptError(f"the chat template leaves the {left_out} message out; {_remedy(turns)}")


def _in_parts(
    written: Callable[[Sequence[Mapping[str, Any]]], str],
    turns: Sequence[Mapping[str, Any]],
    tools: Sequence[str],
) -> str | None:
    """The conversation for a template that reads lists of parts, as for models with images.

    Returns:
        The text, if all messages are in it.
    """
    parts = [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in turns]
    try:
        text = written(parts)
    except Exception:  # the exception of the plain conversation is reported
        return None
    if any(str(part["content"]) in text for part in parts):
        return None  # it reads texts, and wrote the list as Python shows it
    return text if _left_out(None, text, turns, tools) is None else None


def _left_out(
    written: Callable[[Sequence[Mapping[str, Any]]], str] | None,
    text: str,
    turns: Sequence[Mapping[str, Any]],
    tools: Sequence[str],
) -> str | None:
    """The role of a message that is not in the text, ignoring white space, which templates trim.

    A message that a template writes with other letters is there if the text follows each of its letters;
    without ``written`` it must be there as it is. Earlier answers may be incomplete: templates remove their
    reasoning. Of a call the tool's name must be there, besides those in the descriptions of the ``tools``.
    """
    dense = "".join(text.split())
    for place, turn in enumerate(turns):
        if turn["role"] == "tool":
            # Templates may write the result as a JSON text.
            spellings = [turn["content"], json.dumps(turn["content"])[1:-1]]
        else:
            spellings = [turn["content"]] if turn["role"] != "assistant" else []
        is_there = not spellings or any("".join(spelling.split()) in dense for spelling in spellings)
        if not is_there and (written is None or not _is_followed(written, text, turns, place)):
            return str(turn["role"])
    calls = Counter(call["function"]["name"] for turn in turns for call in turn.get("tool_calls", ()))
    missing = any(text.count(name) < count + (name in tools) for name, count in calls.items())
    return "assistant" if missing else None


def _is_followed(
    written: Callable[[Sequence[Mapping[str, Any]]], str],
    text: str,
    turns: Sequence[Mapping[str, Any]],
    place: int,
) -> bool:
    """Whether a message with another letter, at any of some places, is written as another text."""
    content = turns[place]["content"]
    letters = [spot for spot, letter in enumerate(content) if not letter.isspace()]
    for spot in {letters[0], *letters[:: max(1, len(letters) // _TRIED_LETTERS)], letters[-1]}:
        other = f"{content[:spot]}{'8' if content[spot] == '7' else '7'}{content[spot + 1 :]}"
        changed = [{**turn, "content": other} if n == place else turn for n, turn in enumerate(turns)]
        try:
            if written(changed) == text:
                return False
        except Exception:  # what the template refuses it has read, but whether all of it is unknown
            return False
    return True


def _refusal(error: Exception, turns: Sequence[Mapping[str, Any]]) -> PromptError:
    """The message for a template's exception."""
    from jinja2.exceptions import TemplateError

    line = str(error).strip().partition("\n")[0]
    # The template's own raise_exception: jinja's own exceptions are subclasses of this class.
    if type(error) is TemplateError:
        reason = line.rstrip(".") or "it gives no reason"
        return PromptError(f"the chat template refuses it: {reason}; {_remedy(turns)}")
    return PromptError(
        f"the chat template can't be run: {type(error).__name__}: {line or 'no reason given'}; "
        f"fix chat_template.jinja (or chat_template in tokenizer_config.json) of the model"
    )


def pin_date(template: str, date: str) -> str:
    """The template with a fixed date; a template without a date is unchanged.

    transformers gives templates a function ``strftime_now``, which can't be replaced by an argument; a macro
    of that name in the template hides it.

    Args:
        template: A chat template in Jinja.
        date: The day, in ISO 8601.
    """
    if "strftime_now" not in template:
        return template
    day = datetime.datetime.fromisoformat(date)
    seconds = int(
        day.replace(tzinfo=datetime.UTC).timestamp()
    )  # strftime's own is of the machine's time zone
    written = {"%s": str(seconds), **{each: day.strftime(each) for each in _DIRECTIVES}}
    # Two percent signs are one, with which no directive begins.
    parts = [("%%", "\0"), *written.items(), ("\0", "%")]
    replaced = "".join(f" | replace({each!r}, {text!r})" for each, text in parts)
    # The line break belongs to the block and is dropped, so the template begins at the start of a line.
    return "{%- macro strftime_now(format) -%}{{- format" + replaced + " -}}{%- endmacro %}\n" + template


def _remedy(turns: Sequence[Mapping[str, Any]]) -> str:
    roles = [turn["role"] for turn in turns]
    if "system" in roles:
        return "leave the system message out or put its text into the first user message"
    if any(role == after for role, after in pairwise(roles)):
        return "let user and assistant take turns"
    return "change the conversation, or skip the case"


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPrompt:
    """A prompt in the model's own form.

    Attributes:
        text: The conversation rendered by the chat template, or plain text for a model without one.
        begin: The tokenizer's beginning of plain text, such as ``<s>``. A template writes its own.
        tokens: Length in tokens, including ``begin``.
        ids: The tokens themselves, of a prompt that came as tokens: its text may be read as other ones.
    """

    text: str
    begin: str = ""
    tokens: int
    ids: tuple[int, ...] = ()

    @property
    def shown(self) -> str:
        """All of it, as text."""
        return self.begin + self.text

    @property
    def sha256(self) -> str:
        """Hash of all of it."""
        return hashlib.sha256(self.shown.encode("utf-8", "surrogatepass")).hexdigest()


def render_prompt(
    tokenizer: Any, messages: Sequence[Message], settings: GenerationSettings
) -> RenderedPrompt:
    """Render a conversation for the model.

    Args:
        tokenizer: The model's, as ``load_tokenizer`` gives it.
        messages: The conversation before the model's answer.
        settings: Its ``chat_template_kwargs`` and ``date`` are what a template may read.

    Raises:
        PromptError: The chat template refuses the conversation or can't be run, the prompt is empty, or it
            would begin twice.
    """
    if tokenizer.chat_template is None:
        if settings.tools:
            raise PromptError("the model has no chat template, so it can't be given tools; leave them out")
        # A model without a chat template continues plain text.
        text = "\n".join(message.content for message in messages)
        begin_ids = _begin_ids(tokenizer, text)
        begin = str(tokenizer.decode(begin_ids)) if begin_ids else ""
    else:
        text = write_chat(
            tokenizer,
            chat_turns(messages),
            settings.chat_template_kwargs,
            settings.date,
            for_answer=True,
            tools=settings.tools,
        )
        begin, begin_ids = "", []
    ids = [*begin_ids, *text_ids(tokenizer, text)]
    if not ids:
        raise PromptError("the prompt is empty; write a prompt")
    if tokenizer.bos_token_id is not None and ids[:2] == [tokenizer.bos_token_id] * 2:
        writer = "tokenizer" if begin_ids else "chat template"
        raise PromptError(
            f"it begins with {tokenizer.bos_token} twice: the {writer} writes it already; "
            f"leave it out of the messages, or of the {writer} if that writes it twice"
        )
    return RenderedPrompt(text=text, begin=begin, tokens=len(ids))


def plain_prompt(tokenizer: Any, text: str | Sequence[int]) -> RenderedPrompt:
    """The prompt of a text that the model continues as it is, without a chat template.

    Args:
        tokenizer: The model's.
        text: The text, or its tokens.

    Raises:
        PromptError: It is empty, or a token is none of the model's.
    """
    if isinstance(text, str):
        begin_of = _begin_ids(tokenizer, text)
        begin = str(tokenizer.decode(begin_of)) if begin_of else ""
        ids = [*begin_of, *text_ids(tokenizer, text)]
    else:
        begin, ids = "", list(text)
        if unknown := [token for token in ids if not 0 <= token < len(tokenizer)]:
            raise PromptError(f"the prompt has token {unknown[0]}, and the model {len(tokenizer)} tokens")
        text = str(tokenizer.decode(ids))
    if not ids:
        raise PromptError("the prompt is empty; write a prompt")
    return RenderedPrompt(text=text, begin=begin, tokens=len(ids), ids=tuple(ids))


def chat_turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """A conversation as chat templates read it; a tool's results have the ids of the calls before them."""
    turns: list[dict[str, Any]] = []
    waiting: list[tuple[str, str]] = []
    for message in messages:
        turn: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.tool_calls:
            # Nine letters and digits: Mistral's templates refuse other ids.
            first = len(turns) * 100
            waiting = [(f"call{first + n:05d}", call.name) for n, call in enumerate(message.tool_calls)]
            turn["tool_calls"] = [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": dict(call.arguments)},
                }
                for (call_id, _), call in zip(waiting, message.tool_calls, strict=True)
            ]
        if message.role == "tool":
            place = next((n for n, (_, name) in enumerate(waiting) if message.name in {None, name}), None)
            call_id, name = ("", message.name) if place is None else waiting.pop(place)
            turn |= {"name": name, "tool_call_id": call_id}
        turns.append(turn)
    return turns


def prompt_ids(tokenizer: Any, prompt: RenderedPrompt) -> list[int]:
    """The tokens of a rendered prompt.

    Args:
        tokenizer: The model's.
        prompt: The prompt, rendered.

    Returns:
        Token ids, with the begin token first if the prompt has one.
    """
    if prompt.ids:
        return list(prompt.ids)
    begin = _begin_ids(tokenizer, prompt.text) if prompt.begin else []
    return [*begin, *text_ids(tokenizer, prompt.text)]


def text_ids(tokenizer: Any, text: str) -> list[int]:
    """The tokens of a text that contains its special tokens, or needs none.

    Args:
        tokenizer: The model's.
        text: The text.

    Returns:
        Token ids.

    Raises:
        PromptError: The tokenizer can't read it.
    """
    return _encoded(tokenizer, text, add_special_tokens=False)


def _encoded(tokenizer: Any, text: str, **options: Any) -> list[int]:
    try:
        return list(tokenizer(text, **options)["input_ids"])
    except Exception as error:  # a damaged tokenizer may raise any exception
        raise PromptError(
            f"the tokenizer can't read it: {first_line(error)}; save the tokenizer again"
        ) from error


def begin_ids(tokenizer: Any) -> list[int]:
    """The tokens that the tokenizer puts before a text on its own."""
    return _begin_ids(tokenizer, "a")


def _begin_ids(tokenizer: Any, text: str) -> list[int]:
    """The tokens before the text's own tokens; none where the text itself begins with the BOS token.

    Raises:
        PromptError: The tokenizer puts tokens behind every text too, or changes the text's own: a model that
            gets these has been told that the text is finished.
    """
    own, whole = text_ids(tokenizer, text), _encoded(tokenizer, text)
    if own and own[0] == tokenizer.bos_token_id:
        return []
    if whole[len(whole) - len(own) :] == own:
        return whole[: len(whole) - len(own)]
    after = next((n for n in range(1, len(whole)) if whole[len(whole) - len(own) - n : -n] == own), None)
    added = "other tokens" if after is None else repr(str(tokenizer.decode(whole[-after:])))
    raise PromptError(
        f"the model has no chat template, and its tokenizer puts {added} behind every text, as if it were "
        f"finished; set add_eos_token to false in tokenizer_config.json, or leave it out of tokenizer.json's "
        f"post_processor"
    )
