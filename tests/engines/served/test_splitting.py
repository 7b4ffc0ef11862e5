"""Which tokens of a text are scored by plain completions: those that the same model scores here."""

import json
import re
import shutil
from dataclasses import replace

import pytest

from harness.engines.base import CANDIDATE, LossRequest
from harness.engines.open import choose_plan, describe_model, open_sides
from harness.engines.served.client import RefusedError, ServerError
from harness.engines.served.losses import NoLossError
from harness.engines.served.splitting import ServedTokens
from harness.errors import TextsUnmeasuredError
from harness.types import GenerationSettings, Message, ServerUse, ToolCall


@pytest.fixture
def plain_base(tiny_model_dir, tmp_path):
    """A base without a chat template."""
    base = tmp_path / "plain"
    shutil.copytree(tiny_model_dir, base)
    (base / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((base / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (base / "tokenizer_config.json").write_text(json.dumps(config))
    return base


def losses_there_and_here(base, url, texts, engine="openai-completions"):
    served, here = describe_model(f"{engine}:{base.name}@{url}"), describe_model(str(base))
    found, expected = {}, {}
    plan = replace(choose_plan("auto", "cpu", 4096, [served]), server=ServerUse())
    open_sides({CANDIDATE: served}, plan).losses(texts, found.update)
    plan = choose_plan("float32", "cpu", 4096, [here])
    open_sides({CANDIDATE: here}, plan).losses(texts, expected.update)
    return found, expected


def same_losses(found, expected):
    assert {place: loss.tokens for place, loss in found.items()} == {
        place: loss.tokens for place, loss in expected.items()
    }
    for place, loss in expected.items():
        assert found[place].nats_per_token == pytest.approx(loss.nats_per_token, abs=1e-4)


def test_of_plain_completions_a_text_is_scored_without_its_conversation(start_app, plain_base):
    """As here: the conversation's own tokens would hide what the text's tokens lose."""
    messages = (Message(role="user", content="what is one w1 w2 w3 w4 w5 w6 w7"),)
    texts = [LossRequest(key="t", side=CANDIDATE, text="the cat sat on the mat w1", messages=messages)]
    same_losses(*losses_there_and_here(plain_base, start_app(plain_base), texts))


def test_options_of_plain_completions_are_split_together_with_the_prompt(start_app, plain_base):
    """A prompt's last word is another token with what follows: it counts as a part of every option, as here."""
    options, texts = (" one two", "sat", " mat w1 w2"), []
    for prompt in ("what is", "the cat", "w1 w2 w3"):
        messages = (Message(role="user", content=prompt),)
        texts += [
            LossRequest(key=f"{prompt}/{each}", side=CANDIDATE, text=each, messages=messages, options=options)
            for each in options
        ]
    found, expected = losses_there_and_here(plain_base, start_app(plain_base), texts)
    assert len(expected) == len(texts)
    # The word that "sat" is joined to.
    assert expected[0].tokens == 3
    same_losses(found, expected)


OPTIONS = (" one two", "sat", "the mat", "t", "th", "é 😀")


def options_behind(prompt):
    messages = (Message(role="system", content="w3"), Message(role="user", content=prompt))
    return [
        LossRequest(key=f"{prompt}/{each}", side=CANDIDATE, text=each, messages=messages, options=OPTIONS)
        for each in OPTIONS
    ]


@pytest.fixture
def merging_base(tiny_bytes_dir, tmp_path):
    """A base whose tokenizer joins a prompt's last space with what follows."""
    base = tmp_path / "merging"
    shutil.copytree(tiny_bytes_dir, base)
    state = json.loads((base / "tokenizer.json").read_text())
    vocabulary = state["model"]["vocab"]
    merges = [["t", "h"], ["Ġ", "th"], ["Ġ", "s"]]
    # In place of bytes that no text here has.
    for rare, merge in zip("õö÷", merges, strict=True):
        vocabulary["".join(merge)] = vocabulary.pop(rare)
    state["model"]["merges"] = merges
    (base / "tokenizer.json").write_text(json.dumps(state))
    return base


def test_options_of_a_chat_are_scored_as_here(start_app, merging_base):
    """The server writes the conversation, and its text is split together with each option."""
    texts = [one for prompt in ("what is", "w1 w2 w3") for one in options_behind(prompt)]
    found, expected = losses_there_and_here(merging_base, start_app(merging_base), texts, "openai")
    assert len(expected) == len(texts)
    # The space before it is a part of every option.
    assert [expected[place].tokens for place in (1, 4)] == [3, 1]
    same_losses(found, expected)


def test_a_text_behind_calls_of_tools_is_scored_as_here(start_app, merging_base, shipped):
    """The protocol writes a call's arguments as a JSON text, in /tokenize too."""
    (merging_base / "chat_template.jinja").write_text(shipped("qwen3"))
    messages = (
        Message(role="user", content="both"),
        Message(
            role="assistant", content="", tool_calls=(ToolCall(name="weather", arguments={"at": "Oslo"}),)
        ),
        Message(role="tool", content="rain", name="weather"),
    )
    texts = [
        LossRequest(key=text, side=CANDIDATE, text=text, messages=messages, options=options)
        for options in ((), ("rain", "sun"))
        for text in ("rain", "sun")
    ]
    found, expected = losses_there_and_here(merging_base, start_app(merging_base), texts, "openai")
    assert len(expected) == len(texts)
    same_losses(found, expected)


def test_options_of_a_chat_whose_tokens_lose_spaces_are_not_scored(start_app, tiny_model_dir):
    served = describe_model(f"openai:{tiny_model_dir.name}@{start_app(tiny_model_dir)}")
    plan = replace(choose_plan("auto", "cpu", 4096, [served]), server=ServerUse())
    engine = open_sides({CANDIDATE: served}, plan)
    with pytest.raises(
        TextsUnmeasuredError, match=r"choice-likelihood .* don't keep each character"
    ) as error:
        engine.losses(options_behind("what is"), lambda _: None)
    assert len(error.value.reasons) == len(OPTIONS)
    assert "choice-likelihood" in engine.plan.server.unmeasured


@pytest.mark.parametrize(
    ("change", "kind", "told"),
    [
        (lambda written: RefusedError("status 404: Not Found", 404), NoLossError, "needs .*: status 404"),
        (lambda written: ServerError("no reply"), ServerError, "^no reply$"),
        (lambda written: written.replace("x", "xx"), NoLossError, "they make other tokens of its text"),
    ],
)
def test_why_options_of_a_chat_are_not_scored_is_told(change, kind, told):
    def ask(sides, jobs, take):
        for place, job in enumerate(jobs):
            if "messages" in job.body:
                take(place, [ord(letter) for letter in job.body["messages"][-1]["content"]])
            elif "tokens" in job.body:
                take(place, change("".join(map(chr, job.body["tokens"]))))
            else:
                take(place, [ord(letter) for letter in job.body["prompt"]])

    texts = options_behind("x")
    scored, problems = ServedTokens({CANDIDATE: "m"}, ask, chat=True).scored(range(len(texts)), texts)
    assert (scored, set(problems)) == ({}, {*range(len(texts))})
    assert {type(problem) for problem in problems.values()} == {kind}
    assert all(re.search(told, str(problem)) for problem in problems.values())


def test_each_text_s_tokens_are_asked_once():
    """The prompt, and each option alone and behind it, however many compare with it."""
    options, sent = ("a", "b", "c", "d"), []

    def ask(sides, jobs, take):
        sent.extend(job.body["prompt"] for job in jobs)
        for place, job in enumerate(jobs):
            take(place, [ord(letter) for letter in job.body["prompt"]])

    messages = (Message(role="user", content="x"),)
    texts = [
        LossRequest(key=each, side=CANDIDATE, text=each, messages=messages, options=options)
        for each in options
    ]
    scored, problems = ServedTokens({CANDIDATE: "m"}, ask, chat=False).scored(range(4), texts)
    assert sorted(sent) == ["a", "b", "c", "d", "x", "xa", "xb", "xc", "xd"]
    assert problems == {}
    assert [scored[place].prompt for place in range(4)] == [[120, 97 + place] for place in range(4)]
    assert {scored[place].start for place in range(4)} == {1}


@pytest.mark.parametrize(
    ("template", "kwargs"),
    [
        ("qwen3", {}),
        ("qwen3", {"enable_thinking": False}),
        ("qwen3_5_think", {}),
        ("deepseek_r1_distill", {}),
        ("gptoss", {}),
    ],
)
def test_of_a_chat_texts_are_scored_where_an_answer_begins_as_here(
    start_app, merging_base, shipped, template, kwargs
):
    (merging_base / "chat_template.jinja").write_text(shipped(template))
    settings = GenerationSettings(chat_template_kwargs=kwargs)
    messages = (Message(role="user", content="both"),)
    plain = LossRequest(key="t", side=CANDIDATE, text="rain", messages=messages, settings=settings)
    texts = [
        plain,
        replace(plain, text="<think>hm</think>rain"),
        *(replace(plain, text=each, options=("rain", "sun")) for each in ("rain", "sun")),
    ]
    found, expected = losses_there_and_here(merging_base, start_app(merging_base), texts, "openai")
    assert len(expected) == len(texts)
    same_losses(found, expected)
    adds = not kwargs
    assert [found[place].direct for place in range(4)] == [adds, False, adds, adds]


def test_where_answers_begin_is_asked_of_a_server_that_tells_it(
    start_app, merging_base, shipped, monkeypatch
):
    """Without /detokenize a text is not scored in a place where no answer stands."""
    from harness.engines.served import splitting

    (merging_base / "chat_template.jinja").write_text(shipped("qwen3"))
    text = LossRequest(key="t", side=CANDIDATE, text="rain", messages=(Message(role="user", content="both"),))
    detokenize = splitting.detokenize_job

    def nowhere(body):
        job = detokenize(body)
        return replace(job, read=lambda *_: (_ for _ in ()).throw(NoLossError("there is none", 404)))

    monkeypatch.setattr(splitting, "detokenize_job", nowhere)
    served = describe_model(f"openai:{merging_base.name}@{start_app(merging_base)}")
    plan = replace(choose_plan("auto", "cpu", 4096, [served]), server=ServerUse())
    with pytest.raises(TextsUnmeasuredError) as caught:
        open_sides({CANDIDATE: served}, plan).losses([text], lambda batch: None)
    (reason,) = caught.value.reasons.values()
    assert reason.startswith("where an answer begins")
