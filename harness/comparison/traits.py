"""Simple properties of prompts and answers in which lost cases may differ from kept ones."""

import json
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from statistics import median

from harness.metrics.manner import refusal_words
from harness.types import CaseResult, Completion

_WORD = re.compile(r"\w{2,}")
# The first word, or the first sign with its repetitions, such as the fence before code.
_BEGINNING = re.compile(r"\w+|([^\w\s])\1*")
_ENDING = re.compile(r"(?:\w+|([^\w\s])\1*)\Z")
_LONGEST_WORD = 30
_LETTERS = 200  # by which a text's alphabet is told
_LEAST_CAPITALS = 4
# The whole pattern of a refusal takes time in proportion to the text; and an answer cut at its limit may end
# before it says what it declines.
_REFUSAL_WITHIN = 160
_CUT_REFUSAL = re.compile(
    r"(?:(?:unfortunately|sorry|i apologi[sz]e)\W+(?:but\s+)?)?"
    r"(?:(?:i'm|i am) (?:(?:so|very|really|truly) )?sorry,? but[^.!?]{0,40}|as an ai\b[^.!?]{0,40}"
    r"|i (?:can't|cannot|can not|won't|will not)\W*|(?:i'm|i am) (?:unable|not able)\W*)\Z",
    re.IGNORECASE,
)
# An answer that compression makes so much smaller says the same again and again.
_REPETITION, _LEAST_REPEATING = 6, 200


def traits_of(results: Sequence[CaseResult], *, refusals: bool = True) -> Iterator[list[str]]:
    """Each case's traits in words, one case after the other; those of the whole answer before its words.

    Lengths are compared with the median of the given cases.

    Args:
        results: The cases.
        refusals: Look for refusals too, which takes longest.
    """
    # A log may have none.
    prompts = [messages[-1].content if (messages := each.case.messages) else "" for each in results]
    completions = [result.completion for result in results if result.completion is not None]
    long_prompt = median(len(prompt) for prompt in prompts)
    long_answer = median([len(completion.text.strip()) for completion in completions] or [0])
    of_prompt, of_answer = cache("prompt says {!r}".format), cache("answer says {!r}".format)
    for result, prompt in zip(results, prompts, strict=True):
        traits = [] if result.completion is None else _of_answer(result.completion, prompt, long_answer)
        if refusals and result.completion is not None and refuses(result.completion):
            traits.insert(0, "answer refuses")
        traits.append(f"prompt {'longer' if len(prompt) > long_prompt else 'no longer'} than the median")
        traits += map(of_prompt, _words(prompt))
        if result.completion is not None:
            traits += map(of_answer, _words(result.completion.text))
        yield traits


def _of_answer(completion: Completion, prompt: str, median_length: float) -> list[str]:
    answer = completion.text.strip()
    traits = []
    # Of traits that the same cases have, the first one is named.
    if answer.isupper() and sum(map(str.isalpha, answer)) >= _LEAST_CAPITALS:
        traits.append("answer is in capitals")
    size = len(encoded := answer.encode(errors="surrogatepass"))
    if size >= _LEAST_REPEATING and len(zlib.compress(encoded, 1)) * _REPETITION <= size:
        traits.append("answer repeats itself")
    if len({_alphabet(answer), _alphabet(prompt)} - {""}) > 1:
        traits.append("answer is in another alphabet than the prompt")
    if beginning := _BEGINNING.match(answer[:_LONGEST_WORD]):
        traits.append(f"answer begins with {beginning[0].lower()!r}")
    if completion.stop_reason == "length":
        traits.append("answer cut at the token limit")
    if not answer:
        traits.append("answer is empty")
    traits.append("answer is JSON" if _is_json(answer) else "answer is not JSON")
    if ending := _ENDING.search(answer[-_LONGEST_WORD:]):
        traits.append(f"answer ends with {ending[0].lower()!r}")
    longer = len(answer) > median_length
    traits.append("answer longer than the median" if longer else "answer no longer than the median")
    return traits


def is_word(trait: str) -> bool:
    """Whether a trait is about one word, and not about a whole answer or prompt."""
    return " says " in trait


def _alphabet(text: str) -> str:
    """The alphabet of most letters at a text's beginning, such as LATIN; empty for a text without letters."""
    if text.isascii():
        return "LATIN" if any(map(str.isalpha, text[: 2 * _LETTERS])) else ""
    letters = [letter for letter in text[: 2 * _LETTERS] if letter.isalpha()][:_LETTERS]
    names = Counter(unicodedata.name(letter, "").partition(" ")[0] for letter in letters)
    # Japanese is written in three of them.
    japanese = names.pop("HIRAGANA", 0) + names.pop("KATAKANA", 0)
    if japanese:
        names["CJK"] += japanese
    return names.most_common(1)[0][0] if names else ""


def refuses(completion: Completion) -> bool:
    """Whether an answer declines, in words that may be cut at its limit."""
    opening = completion.text.strip()[:_REFUSAL_WITHIN]
    return _CUT_REFUSAL.match(opening.replace("’", "'")) is not None or refusal_words(opening) is not None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _words(text: str) -> list[str]:
    found = _WORD.findall(text.lower()) if text.isascii() else map(str.lower, _WORD.findall(text))
    return [word for word in dict.fromkeys(found) if len(word) <= _LONGEST_WORD]
