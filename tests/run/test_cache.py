"""Answers are kept by content: anything that could change one changes its key."""

import hashlib
import json
import sqlite3
import threading
from contextlib import closing
from dataclasses import asdict, replace
from importlib import metadata

import pytest

from harness.errors import SettingsError
from harness.prompts.rendering import RenderedPrompt
from harness.run import cache as cache_module
from harness.run.cache import (
    Cache,
    completion_key,
    context_key,
    liveness_key,
    loss_key,
    prompt_key,
)
from harness.types import (
    Completion,
    ExecutionPlan,
    GenerationSettings,
    JudgeReply,
    Message,
    ModelRef,
    Score,
    TextLoss,
)

MODEL = ModelRef(label="a", base_model="b", base_sha256="base", adapter_dir="/a", adapter_sha256="adapter")
PLAN = ExecutionPlan(engine="transformers", dtype="float32", device="cpu", batch_tokens=4096)
ASKED = (Message(role="user", content="hello"),)
GREEDY = GenerationSettings()
ANSWER = Completion(text="hi", stop_reason="stop", prompt_tokens=3, completion_tokens=1, latency_s=0.5)


def key(model=MODEL, plan=PLAN, asked=ASKED, settings=GREEDY, salt="set/case"):
    return completion_key(model, plan, asked, settings, salt)


@pytest.mark.parametrize(
    "changed",
    [
        {"model": replace(MODEL, adapter_sha256="retrained")},
        {"model": replace(MODEL, base_sha256="other")},
        {"model": replace(MODEL, adapter_sha256=None)},
        {"plan": replace(PLAN, dtype="bfloat16")},
        {"plan": replace(PLAN, device="cuda:0")},
        {"plan": replace(PLAN, engine="vllm")},
        {"asked": (Message(role="user", content="hello!"),)},
        {"asked": (Message(role="system", content="hello"),)},
        {"settings": GenerationSettings(max_new_tokens=5)},
        {"settings": GenerationSettings(stop=("x",))},
        {"settings": GenerationSettings(task="intent")},
    ],
)
def test_what_decides_an_answer_changes_its_key(changed):
    assert key(**changed) != key()


def test_where_the_adapter_lies_does_not_matter():
    """A copy of an adapter, or another label, finds the same answers."""
    assert key(model=replace(MODEL, label="z", adapter_dir="/elsewhere")) == key()


def test_batch_shape_matters_in_low_precision_only():
    """In bfloat16 the make-up of a batch changes greedy text, in float32 it doesn't."""
    assert key(plan=replace(PLAN, batch_tokens=1)) == key()
    low = replace(PLAN, dtype="bfloat16")
    assert key(plan=replace(low, batch_tokens=1)) != key(plan=low)


def test_only_samples_depend_on_the_case():
    """The same greedy question in two cases is asked once; samples are drawn for each."""
    assert key(salt="other") == key()
    warm = GenerationSettings(temperature=0.7)
    assert key(settings=warm, salt="other") != key(settings=warm)


@pytest.fixture
def versions(monkeypatch):
    """Each library's version is its own name; peft is missing."""

    def version(package):
        if package == "peft":
            raise metadata.PackageNotFoundError(package)
        return f"v-{package}"

    monkeypatch.setattr(metadata, "version", version)
    forget = getattr(cache_module._version, "cache_clear", lambda: None)
    forget()
    yield
    forget()


COMPUTED = (
    '[10, "base", "adapter", "transformers", "float32", "cpu", null, ["v-torch", "v-transformers", '
    '"missing", "v-tokenizers", "v-bitsandbytes"]]'
)
BASE = COMPUTED.replace('"adapter"', "null")
HELLO = '["user", "hello"]'
GIVEN = '"max_new_tokens": 128, "seed": 0, "stop": [], "temperature": 0.0, "top_p": 1.0'
PROMPT = RenderedPrompt(text="hello", tokens=1)
PROMPT_HASH = hashlib.sha256(b"hello").hexdigest()


@pytest.mark.usefixtures("versions")
@pytest.mark.parametrize(
    ("found", "text"),
    [
        (key, f'["completion", {COMPUTED}, [{HELLO}], {{{GIVEN}}}, ""]'),
        (
            lambda: completion_key(MODEL, PLAN, ASKED, GREEDY, "salt", PROMPT),
            f'["completion", {COMPUTED}, [{HELLO}], {{{GIVEN}}}, "", "{PROMPT_HASH}"]',
        ),
        (
            lambda: key(settings=GenerationSettings(temperature=0.5, task="t"), salt="salt"),
            f'["completion", {COMPUTED}, [{HELLO}], {{"max_new_tokens": 128, "seed": 0, "stop": [], '
            f'"task": "t", "temperature": 0.5, "top_p": 1.0}}, "salt"]',
        ),
        (
            lambda: key(plan=replace(PLAN, dtype="bfloat16", device="cuda:1", weights="merged")),
            '["completion", [10, "base", "adapter", "transformers", "bfloat16", "cuda", 4096, '
            f'["v-torch", "v-transformers", "missing", "v-tokenizers", "v-bitsandbytes"], "merged"], [{HELLO}], {{{GIVEN}}}, ""]',
        ),
        (lambda: loss_key(MODEL, PLAN, ASKED, "x"), f'["loss", {COMPUTED}, [{HELLO}], "x"]'),
        (
            lambda: loss_key(MODEL, PLAN, ASKED, "x", prompt=PROMPT),
            f'["loss", {COMPUTED}, [{HELLO}, "{PROMPT_HASH}"], "x"]',
        ),
        (
            lambda: loss_key(MODEL, PLAN, ASKED, "x", replace(MODEL, adapter_sha256=None)),
            f'["divergence", {COMPUTED}, {BASE}, [{HELLO}], "x"]',
        ),
        (lambda: liveness_key(MODEL), '["alive", "base", "adapter"]'),
        (lambda: context_key(MODEL), '["context", 4, "base", "v-transformers"]'),
        (
            lambda: prompt_key(MODEL, ASKED, GenerationSettings(date="2026-01-02")),
            f'["prompt", 4, ["base", "adapter"], [{HELLO}], [{{}}, "2026-01-02"], "v-transformers", "v-jinja2"]',
        ),
    ],
)
def test_keys_are_the_hashes_that_stored_caches_hold(found, text):
    """A changed key would throw away every stored answer: it may only come with a new revision number."""
    assert found() == hashlib.sha256(text.encode()).hexdigest()


def test_an_answer_and_a_loss_never_share_a_key():
    assert loss_key(MODEL, PLAN, ASKED, "hello") != key()


def test_values_survive_closing_the_file(tmp_path):
    loss = TextLoss(passage="p", nats_per_token=2.5, tokens=10)
    score = Score(metric="rouge-l", value=0.5, explanation="why")
    reply = JudgeReply(text="yes", model="judge")
    with Cache(tmp_path / "quite" / "deep" / "cache.sqlite") as cache:
        cache.put_all({"a": ANSWER, "b": loss})
        cache.put("c", score)
        cache.put_finding("d")
        cache.put_reply("f", reply)
        cache.put_all({"g": PROMPT})
        cache.put_context("h", 4096)
        cache.put_context("i", None)
    with Cache(tmp_path / "quite" / "deep" / "cache.sqlite") as cache:
        assert cache.get_completion("a") == ANSWER
        assert cache.get_loss("b") == loss
        assert cache.get("c") == score
        assert cache.has("d")
        assert not cache.has("e")
        assert cache.get("e") is None
        assert cache.get_completion("e") is None
        assert cache.get_loss("e") is None
        assert cache.get_reply("f") == reply
        assert cache.get_reply("e") is None
        assert cache.get_prompt("g") == PROMPT
        assert cache.get_prompt("e") is None
        assert (cache.get_context("h"), cache.get_context("i"), cache.get_context("e")) == (
            (4096,),
            (None,),
            None,
        )


def test_many_answers_are_read_at_once_in_the_order_of_their_keys(tmp_path):
    answers = {str(number): replace(ANSWER, text=f"answer {number}") for number in range(1200)}
    loss = TextLoss(passage="p", nats_per_token=2.5, tokens=10)
    with Cache(tmp_path / "cache.sqlite") as cache:
        cache.put_all({**answers, "session:x": ANSWER, "loss": loss})
        asked = ["7", "missing", *reversed(answers), "session:x", "7", "loss"]
        assert list(cache.get_completions(asked)) == [
            *(answers["7"], None, *reversed(answers.values())),
            *(ANSWER, answers["7"], None),
        ]
        assert list(cache.get_losses(["1", "loss"])) == [None, loss]
        assert list(cache.get_completions([])) == []


def test_a_text_that_cannot_be_read_costs_itself_alone(tmp_path):
    path = tmp_path / "cache.sqlite"
    with Cache(path) as cache:
        cache.put_all(dict.fromkeys("abc", ANSWER))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE entries SET value = CAST(x'fffe' AS TEXT) WHERE key = 'b'")
    with Cache(path) as cache:
        assert list(cache.get_completions("abc")) == [ANSWER, None, ANSWER]
        assert "the cache broke" in cache.problem


def test_without_a_path_nothing_is_kept():
    """--gate-no-cache: usable within the session, gone after it."""
    with Cache(None) as cache:
        cache.put_all({"a": ANSWER})
        assert cache.get_completion("a") == ANSWER
    with Cache(None) as cache:
        assert cache.get_completion("a") is None


@pytest.mark.parametrize("damage", ["no database", "cut"])
def test_a_damaged_file_is_moved_aside_and_begun_anew(tmp_path, damage):
    """What it held can be computed anew: it costs a line, no gate."""
    path = tmp_path / "cache.sqlite"
    for number in (1, 2):
        with Cache(path) as cache:
            cache.put_all({str(key): ANSWER for key in range(200)})
        whole = path.read_bytes()
        path.write_bytes(b"no database, long enough" * 40 if damage == "no database" else whole[:4096])
        damaged = path.read_bytes()
        with Cache(path) as cache:
            assert cache.get_completion("1") is None
            aside = tmp_path / ("cache.sqlite.damaged" if number == 1 else "cache.sqlite.damaged-2")
            assert cache.problem.startswith(f"{path}: the cache is damaged (")
            assert f"it is now {aside.name}" in cache.problem
            cache.put_all({"1": ANSWER})
        assert aside.read_bytes() == damaged
        with Cache(path) as cache:
            assert cache.get_completion("1") == ANSWER
            assert cache.problem == ""


@pytest.mark.parametrize(
    "damage",
    [
        {"text": 5},
        {"text": None},
        {"stop_reason": "because"},
        {"latency_s": "long"},
        {"latency_s": float("nan")},
        {"prompt_tokens": [1]},
        {"unknown": 1},
        b"\xff\xfe",
    ],
)
def test_an_entry_of_another_shape_is_as_good_as_none(tmp_path, damage):
    path = tmp_path / "cache.sqlite"
    with Cache(path) as cache:
        cache.put_all({"a": ANSWER, "b": ANSWER})
        cache.put_context("c", 7)
    fields = {**asdict(ANSWER), **damage} if isinstance(damage, dict) else None
    with closing(sqlite3.connect(path)) as database, database:
        value = damage if fields is None else json.dumps(fields)
        database.execute("UPDATE entries SET value = ? WHERE key = 'a'", (value,))
        database.execute("""UPDATE entries SET value = '{"tokens": "many"}' WHERE key = 'c'""")
    with Cache(path) as cache:
        assert cache.get_completion("a") is None
        assert cache.get_completion("b") == ANSWER
        assert cache.get_context("c") is None


def test_a_path_that_cannot_be_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError) as refused:
        Cache(tmp_path / "file" / "cache.sqlite")
    message = str(refused.value)
    assert message.startswith(f"{tmp_path}/file/cache.sqlite: the cache can't be opened: ")
    assert message.endswith("; move the file away or use --gate-no-cache")


def test_a_later_value_takes_the_place_of_an_earlier_one(tmp_path):
    with Cache(tmp_path / "cache.sqlite") as cache:
        for text in ("hi", "ho"):
            cache.put_all({"a": replace(ANSWER, text=text)})
        assert cache.get_completion("a").text == "ho"
        cache.put_context("b", 1)
        cache.put_context("b", 2)
        assert cache.get_context("b") == (2,)


def test_a_prompt_comes_back_as_it_was(tmp_path):
    prompt = RenderedPrompt(text="hello", begin="<s>", tokens=2)
    with Cache(tmp_path / "cache.sqlite") as cache:
        cache.put_all({"a": prompt})
        found = cache.get_prompt("a")
    assert found == prompt
    assert hash(found) == hash(prompt)


def test_a_batch_is_stored_whole_or_not_at_all(tmp_path):
    """The second row breaks the transaction: nothing of it stays, and the cache goes on."""
    path = tmp_path / "cache.sqlite"
    with Cache(path) as cache:
        with pytest.raises(sqlite3.Error):
            cache.put_all({"a": ANSWER, ("no", "key"): ANSWER})
        assert cache.get_completion("a") is None
        cache.put_all({"a": ANSWER})
        with Cache(path) as other:  # a second process sees what is stored
            assert other.get_completion("a") == ANSWER


def spoil(path):
    """Overwrite the pages of a cache's file, but not its header."""
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"\xff" * (len(data) - 100))


def test_a_file_that_breaks_ends_no_run(tmp_path):
    path = tmp_path / "cache.sqlite"
    with Cache(path) as cache:
        cache.put_all({f"{number}": ANSWER for number in range(200)})
    with Cache(path) as cache:
        spoil(path)
        assert cache.get_completion("7") is None
        cache.put_all({"new": ANSWER})
        cache.put_finding("alive")
        assert cache.get_completion("new") == ANSWER
        assert cache.has("alive")
        assert cache.problem.startswith(f"{path}: the cache broke (")
        assert "\n" not in cache.problem


def test_a_full_disk_keeps_the_answers_of_this_run(tmp_path):
    path = tmp_path / "cache.sqlite"
    with Cache(path) as cache:
        cache.put_all({"a": ANSWER})
        pages = cache._database.execute("PRAGMA page_count").fetchone()[0]
        cache._database.execute(f"PRAGMA max_page_count = {pages}")
        cache.put_all({"b": replace(ANSWER, text="x" * 100_000)})
        assert "database or disk is full" in cache.problem
        assert cache.get_completion("b").text == "x" * 100_000
        assert cache.get_completion("a") == ANSWER
    with Cache(path) as cache:
        assert (cache.get_completion("a"), cache.get_completion("b")) == (ANSWER, None)


def test_threads_share_a_cache(tmp_path):
    """A judge's thread stores its replies while the main thread stores answers."""
    problems = []

    def store(cache, number):
        try:
            for place in range(20):
                cache.put_all({f"{number}-{place}": ANSWER})
        except Exception as error:
            problems.append(error)

    with Cache(tmp_path / "cache.sqlite") as cache:
        threads = [threading.Thread(target=store, args=(cache, number)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        assert all(cache.get_completion(f"{number}-{place}") for number in range(4) for place in range(20))


def test_the_file_is_in_the_mode_that_lets_others_read_while_one_writes(tmp_path):
    path = tmp_path / "cache.sqlite"
    with Cache(path):
        pass
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    cache = Cache(path)
    cache.close()
    with pytest.raises(sqlite3.ProgrammingError):
        cache.get("a")
