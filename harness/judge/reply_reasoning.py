"""Takes a judge's reasoning out of its reply: everything between marks that aren't around an answer.

Whatever the mark is called, an object behind one that was opened and never closed is a draft, and there is no
reply. Marks that the judged texts contain themselves are not trusted to be the judge's.
"""

import re
import unicodedata
from dataclasses import dataclass

from harness.judge.reply_objects import ReplyError

_CHANNEL = "<|channel|>"
_FINAL_CHANNEL = re.compile(r"(?:<\|channel\|>\s*final|\bto=user\b)[^<]*<\|message\|>")
# A reply in channels begins with one; elsewhere the mark is quoted.
_IN_CHANNELS = re.compile(r"\s*(?:<\|channel\|>|<\|start\|>)")
_ADDRESSED = re.compile(r"\s*to=\w+\s*<\|message\|>")
_UNMARKED = re.compile(r"\s*analysis(?=[A-Z{\"'<\ue000\s])(?!\s*[:=])")
_UNMARKED_FINAL = re.compile(r"assistant\s*final")
_MARK = re.compile(
    r"(?P<left><\|?|\[|◁|⟨|【|《)\s{0,3}(?P<slash>/?)\s{0,3}(?P<name>[^\W\d][\w:.▁ -]{0,40}?)"
    r"(?:\s{1,3}[\w-]{1,30}\s?=[^<>\[\]\n]{0,60})?\s{0,3}(?:\|?>|\]|▷|⟩|】|》)"
)
_REASONS = re.compile(
    r"think|thought|reason|reflect|scratch|analy[sz]|monolog|delibera|ponder|musing|\bcot\b|chain|\bplan|draft|"
    r"brainstorm|rationale|inner|internal|hidden|critique|consider"
)
_ANSWERS = re.compile(
    r"answer|response|reply|final|verdict|result|output|json|solution|judg|score|grade|rating|decision|"
    r"evaluat|assess|conclusion|feedback|review|tool|function"
)
_LAYOUT = """
p pre code div span b i u em strong br hr ul ol li dl dt dd table thead tbody tr td th blockquote body
html head a sup sub h1 h2 h3 h4 h5 h6 img center font small section article main s eos bos eot im
"""
_TRANSPARENT = frozenset(_LAYOUT.split())
_DIRECTION = {"begin", "start", "of", "end", "stop", "close", "finish", "open"}
_CLOSING = {"end", "stop", "close", "finish"}
# A heading of reasoning at the beginning of a line, and one of what follows it.
_REASONING_HEAD = re.compile(
    r"^\W{0,6}(?:my )?(?:thinking|thoughts?|scratch ?pad|(?:first )?draft|(?:internal |inner )?monologue|"
    r"chain[ -]of[ -]thought|brainstorm\w*|deliberation|planning)(?: process)?\W{0,4}(?::|$)",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWER_HEAD = re.compile(
    r"^\W{0,6}(?:my |the )?(?:final|verdict|answer|output|result|conclusion|decision|judge?ment|json|"
    r"response|reply|evaluation|assessment)\b",
    re.IGNORECASE | re.MULTILINE,
)
_LESS = {"\\<", "&lt;", "&LT;"}
_ESCAPED = re.compile(r"\\[<>]|&[lg]t;", re.IGNORECASE)
# Round and curly brackets are marks at the beginning of a line only.
_IN_ROUND = re.compile(
    r"^[ \t]*[({](?P<mark>/?(?:think|thinking|thoughts?|reasoning|scratchpad))[)}]", re.I | re.M
)
# What a tool gives back is not the judge's word.
_GIVEN_BACK = re.compile(
    r"(?:tool|function|code|observation)s?.*(?:response|result|output|return)|observation"
    r"|^(?:tool|function|ipython)$"
    # The judged answer, not the judge's.
    r"|(?:answer|response|reply|output) (?:text|content|body)"
    r"|(?:user|model|candidate|original|assistant|students?|judged|given|their|his|her|its|the) "
    r"(?:answer|response|reply|output)"
)
_CUT = "the reply is reasoning only: it was cut before its answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """A mark in a text: its name without begin and end, and which of the two it is."""

    name: str
    closes: bool
    reasons: bool
    start: int
    stop: int


def behind_reasoning(text: str, material: str, prompt: str, is_object: re.Pattern[str]) -> str:
    """The reply without its reasoning.

    Args:
        text: The reply; each object in it is replaced by a word of its own.
        material: What the judged model wrote, and all else that may imitate a judge. Its marks of reasoning
            are nobody's.
        prompt: All that the judge was shown. Other marks in it open nothing.
        is_object: Matches the word in place of an object.

    Raises:
        ReplyError: A reasoning was opened and never closed, or an object is inside of one.
    """
    text, material, prompt = _plain(text), _plain(material), _plain(prompt)
    text = _behind_channels(text, material)
    theirs = {mark.name for mark in _marks(material) if mark.reasons}
    text = _outside_of_reasoning(text, theirs, is_object)
    _require_outside(text, {mark.name for mark in _marks(f"{prompt}\n{material}")}, is_object)
    head = _REASONING_HEAD.search(text)
    if head is not None:
        first = is_object.search(text, head.end())
        if first is not None and _ANSWER_HEAD.search(text, head.end(), first.start()) is None:
            raise ReplyError("the verdict is in the reply's reasoning")
    return text


def _plain(text: str) -> str:
    """The text with marks in their usual width, and Gemma's pair as any other."""
    text = text if text.isascii() else unicodedata.normalize("NFKC", text)
    text = (
        _ESCAPED.sub(lambda found: "<" if found[0] in _LESS else ">", text)
        if "\\" in text or "&" in text
        else text
    )
    text = text.replace("<|channel>thought", "<think>").replace("<channel|>", "</think>")
    # An object in a comment is hidden, and one behind a comment that never ends is, too.
    text = text.replace("<!--", "<think comment>").replace("-->", "</think comment>")
    return _IN_ROUND.sub(lambda found: f"<{found['mark'].casefold()}>", text)


def _behind_channels(text: str, material: str) -> str:
    if _IN_CHANNELS.match(text) or _ADDRESSED.match(text):
        if _CHANNEL in material or _FINAL_CHANNEL.search(material):
            if text.lstrip().startswith(("<|", "to=")):
                raise ReplyError(f"the reply's channels are about an answer that holds {_CHANNEL} itself")
            return text
        parts = _FINAL_CHANNEL.split(text)
        if len(parts) < 2:
            raise ReplyError(_CUT)
        # All final messages, since two may disagree, with what is behind them.
        finals = [re.split(r"<\|(?:start|channel)\|>", part, maxsplit=1)[0] for part in parts[1:]]
        return re.sub(r"<\|(?:end|return)\|>", "\n", "\n".join(finals))
    if _UNMARKED.match(text) and not _UNMARKED_FINAL.search(material):
        parts = _UNMARKED_FINAL.split(text)
        if len(parts) < 2 and not text.lstrip()[len("analysis") :][:1].isspace():
            raise ReplyError(_CUT)
        return parts[-1]
    return text


def _outside_of_reasoning(text: str, theirs: set[str], is_object: re.Pattern[str]) -> str:
    """The text outside of marks of reasoning; before an end without a beginning all is reasoning."""
    kept: list[str] = []
    opened, end = "", 0
    for mark in _marks(text):
        if not mark.reasons:
            continue
        if mark.name in theirs:
            if not mark.closes and not text[: mark.start].strip():
                raise ReplyError(f"the reply's reasoning is about an answer that holds <{mark.name}> itself")
            continue
        if mark.closes and opened in {"", mark.name}:
            # A chat template may have opened the reasoning before the reply began.
            kept = kept if opened else []
            opened, end = "", mark.stop
        elif not mark.closes and not opened:
            kept.append(text[end : mark.start])
            opened = mark.name
            if is_object.search("".join(kept)):
                raise ReplyError("the reply goes on to reason behind its verdict")
    if opened:
        raise ReplyError(_CUT)
    return "".join([*kept, text[end:]])


def _require_outside(text: str, known: set[str], is_object: re.Pattern[str]) -> None:
    """No object may be between marks that are neither an answer's nor only of layout.

    Such a mark begins a line: prose may name others.
    """
    objects = [found.start() for found in is_object.finditer(text)]
    opened: dict[str, int] = {}
    ordinary_names = _TRANSPARENT | known
    for mark in _marks(text):
        answers = _ANSWERS.search(mark.name) and not _GIVEN_BACK.search(mark.name)
        ordinary = mark.reasons or answers or mark.name in ordinary_names
        if ordinary or text[mark.start] != "<":
            continue
        begins = not text[: mark.start].rpartition("\n")[2].strip()
        if not mark.closes and begins:
            opened.setdefault(mark.name, mark.stop)
        elif mark.closes and any(
            opened.get(mark.name, mark.start) <= place < mark.start for place in objects
        ):
            raise ReplyError(f"the verdict is between marks of {mark.name!r}")
        elif mark.closes:
            opened.pop(mark.name, None)
    if any(place >= start for start in opened.values() for place in objects):
        raise ReplyError(f"the verdict is behind <{next(iter(opened))}>, which is never closed")


def _marks(text: str) -> list[_Mark]:
    found = []
    for match in _MARK.finditer(text):
        words = re.findall(r"[^\W_]+", match["name"].casefold())
        name = " ".join(word for word in words if word not in _DIRECTION)
        reasons = _REASONS.search(name) is not None
        # Other brackets may hold prose: one word, or capitals, may be a mark.
        named = match["left"].startswith("<") or (reasons and (len(words) == 1 or match["name"].isupper()))
        if not name or not named:
            continue
        closes = bool(match["slash"]) or any(word in _CLOSING for word in words)
        found.append(_Mark(name=name, closes=closes, reasons=reasons, start=match.start(), stop=match.end()))
    return found
