"""Decoded piece by piece, a text is the one that the tokenizer makes of all its tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from harness.prompts.reasoning import begins_answer, read_answer
from harness.prompts.running import AnswerSoFar, RunningText, settled
from harness.prompts.tokenizers import before_stop
from harness.types import GenerationSettings

PIECES = [
    *("▁", "▁a", "▁the", "the", "e", "é", "▁日", "本", ".", "▁.", "'", "▁'", "s", "\n", "▁▁▁", "\ufffd"),
    *("<think>", "</think>", "##ing", "Ġ", "Ġa"),
]
SPECIAL = ["<s>", "</s>", "<|im_end|>"]
BYTES = [f"<0x{number:02X}>" for number in range(256)]
LLAMA = (decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse())
DECODERS = {
    "none": None,
    "llama": decoders.Sequence([*LLAMA, decoders.Strip(" ", 1, 0)]),
    "gemma": decoders.Sequence(list(LLAMA)),
    "metaspace": decoders.Metaspace(),
    "wordpiece": decoders.WordPiece(),
    "bytes": decoders.ByteLevel(),
    "strip both": decoders.Sequence([*LLAMA, decoders.Strip(" ", 1, 1)]),
    "strip two": decoders.Sequence([*LLAMA, decoders.Strip(" ", 2, 0)]),
    "replace behind": decoders.Sequence([decoders.Fuse(), decoders.Replace("a.", "x")]),
    "ctc": decoders.CTC(),
}


def tokenizer_of(name):
    pieces = dict.fromkeys([*SPECIAL, *BYTES, *PIECES])
    inner = Tokenizer(models.BPE(vocab={piece: n for n, piece in enumerate(pieces)}, merges=[]))
    if DECODERS[name] is not None:
        inner.decoder = DECODERS[name]
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")


TOKENIZERS = {name: tokenizer_of(name) for name in DECODERS}
for _each in TOKENIZERS.values():
    _each.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    _each.add_tokens(["<tool>"])


def same_at_each_step(tokenizer, tokens, *, skip):
    running = RunningText(tokenizer, skip_special_tokens=skip)
    for count in range(1, len(tokens) + 1):
        begun = tokens[:count]
        assert running.of(begun) == tokenizer.decode(begun, skip_special_tokens=skip), (count, begun)
    return running


few_bytes = st.sampled_from(
    [3 + byte for byte in (0x41, 0x20, 0xC3, 0xA9, 0xE6, 0x97, 0xA5, 0xF0, 0x9F, 0x98, 0x80, 0xFF)]
)


# The library itself fails on an empty text of this one.
WHOLE = [name for name in DECODERS if name != "strip both"]


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("skip", [True, False])
@given(data=st.data())
def test_a_text_is_that_of_all_tokens(name, skip, data):
    tokenizer = TOKENIZERS[name]
    any_token = st.integers(0, len(tokenizer) - 1)
    # A padded vocabulary has more numbers than the tokenizer knows: their logits can be the largest.
    unknown = st.integers(len(tokenizer), len(tokenizer) + 40)
    tokens = data.draw(st.lists(st.one_of(any_token, few_bytes, unknown), max_size=60))
    same_at_each_step(tokenizer, tokens, skip=skip)


ALPHABET = "aé日本語 \n.'😀👩\u200d👧\u0301ﷺ<|>\t"


@given(text=st.text(alphabet=ALPHABET, max_size=40), noise=st.lists(st.integers(0, 258), max_size=40))
def test_bytes_become_characters_once_they_are_whole(tiny_bytes_dir, text, noise):
    tokenizer = bytes_tokenizer(tiny_bytes_dir)
    tokens = [*tokenizer(text, add_special_tokens=False)["input_ids"], *noise]
    for skip in (True, False):
        same_at_each_step(tokenizer, tokens, skip=skip)


KEPT = {}


def bytes_tokenizer(directory):
    if directory not in KEPT:
        KEPT[directory] = AutoTokenizer.from_pretrained(directory)
    return KEPT[directory]


@pytest.mark.parametrize(
    ("name", "few"),
    [
        *(("llama", True), ("gemma", True), ("metaspace", True), ("none", False), ("ctc", False)),
        *(("strip both", False), ("strip two", False), ("replace behind", False)),
    ],
)
def test_only_what_is_new_is_decoded_where_that_is_the_same(name, few, monkeypatch):
    tokenizer, decoded = TOKENIZERS[name], []
    running = RunningText(tokenizer, skip_special_tokens=False)
    decode = tokenizer.decode

    def count(tokens, **options):
        decoded.append(len(tokens))
        return decode(tokens, **options)

    monkeypatch.setattr(tokenizer, "decode", count)
    words = tokenizer.convert_tokens_to_ids(["▁the", "▁a", "the", "."]) * 100
    for count_of in range(1, len(words) + 1):
        running.of(words[:count_of])
    assert (sum(decoded) < 20 * len(words)) is few


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("before", [[], ["the"]])
def test_numbers_of_a_padded_vocabulary_leave_the_first_space_to_what_follows(name, before):
    tokenizer = TOKENIZERS[name]
    unknown = [len(tokenizer) + 7] * 20
    words = tokenizer.convert_tokens_to_ids(["▁the", "▁a"])
    known = tokenizer.convert_tokens_to_ids(before)
    for skip in (True, False):
        same_at_each_step(tokenizer, [*known, *unknown, *words, *unknown, *words], skip=skip)


def test_fewer_tokens_than_before_are_decoded_anew():
    tokenizer = TOKENIZERS["llama"]
    words = tokenizer.convert_tokens_to_ids(["▁the", "▁a", "the", "."]) * 20
    running = same_at_each_step(tokenizer, words, skip=True)
    assert running.of(words[:5]) == tokenizer.decode(words[:5], skip_special_tokens=True)
    assert running.of(words[:50]) == tokenizer.decode(words[:50], skip_special_tokens=True)


@pytest.mark.parametrize(
    "settings",
    [
        GenerationSettings(),
        GenerationSettings(stop=("the a",)),
        GenerationSettings(stop=("<tool>",)),
        GenerationSettings(score_reasoning=True),
    ],
)
@given(
    words=st.lists(st.sampled_from(["<think>", "</think>", "▁a", "▁the", "é", "<tool>", "</s>"]), max_size=40)
)
def test_the_visible_part_is_that_of_the_tokens_so_far(settings, words):
    tokenizer = TOKENIZERS["llama"]
    tokens, so_far = tokenizer.convert_tokens_to_ids(words), AnswerSoFar(TOKENIZERS["llama"], "", settings)
    for count in range(1, len(tokens) + 1):
        begun = tokens[:count]
        marked = tokenizer.decode(begun, skip_special_tokens=False)
        is_hidden = not settings.score_reasoning and begins_answer(marked, "") is None
        assert so_far.of(begun) == ("" if is_hidden else read_answer(tokenizer, begun, "", settings).answer)


few = st.text(alphabet="ab\n", max_size=8)


@given(few, few, st.lists(few.filter(bool), max_size=3))
def test_what_is_settled_stays_whatever_follows(begun, rest, stops):
    """Also where a stop text comes, which cuts off its beginning."""
    begun = before_stop(begun, stops)
    assert before_stop(begun + rest, stops).startswith(settled(begun, stops))
