"""The file of kept answers: what is written, read back, damaged, full or shared."""

import json
import sqlite3
import threading
from contextlib import closing
from dataclasses import asdict, replace

import pytest

from harness.errors import SettingsError
from harness.prompts.rendering import RenderedPrompt
from harness.run.cache import Cache
from harness.run.cache_entries import RefusedText
from harness.types import Completion, JudgeReply, Score, TextLoss

PROMPT = RenderedPrompt(text="hello", tokens=1)
ANSWER = Completion(text="hi", stop_reason="stop", prompt_tokens=3, completion_tokens=1, latency_s=0.5)


def test_values_survive_closing_the_file(tmp_path):
    loss = TextLoss(passage="p", nats_per_token=2.5, tokens=10)
    score = Score(metric="rouge-l", value=0.5, explanation="why")
    reply = JudgeReply(text="yes", model="judge")
    with Cache(tmp_path / "quite" / "deep" / "cache.sqlite") as cache:
        cache.put_all({"a": ANSWER, "b": loss})
        cache.put("c", score)
        cache.put_reply("f", reply)
        cache.put_all({"g": PROMPT})
        cache.put_context("h", 4096)
        cache.put_context("i", None)
        cache.put_all({"k": RefusedText(refused="no echo")})
    with Cache(tmp_path / "quite" / "deep" / "cache.sqlite") as cache:
        assert cache.get_completion("a") == ANSWER
        assert [*cache.get_losses(["b", "e", "k"])] == [loss, None, None]
        assert [*cache.get_refusals(["k", "b", "e"])] == [RefusedText(refused="no echo"), None, None]
        assert cache.get("c") == score
        assert cache.get("e") is None
        assert cache.get_completion("e") is None
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


def test_an_answer_without_a_known_time_is_none_where_times_decide(tmp_path):
    with Cache(tmp_path / "cache.sqlite") as cache:
        cache.put_untimed({"a": ANSWER})
        cache.put_all({"b": ANSWER})
        assert list(cache.get_completions("ab")) == [ANSWER, ANSWER]
        assert list(cache.get_timed("ab")) == [None, ANSWER]
        cache.put_all({"a": ANSWER})  # its batch ended
        assert list(cache.get_timed("ab")) == [ANSWER, ANSWER]


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


def test_a_lazy_cache_makes_its_file_with_its_first_entry(tmp_path):
    """Its folder is made once; a value of this session alone makes none."""
    path, made = tmp_path / "made" / "cache.sqlite", []

    def make():
        made.append(path.parent)
        path.parent.mkdir()

    with Cache(path, lazily=True, make=make) as cache:
        assert cache.get_completion("a") is None
        cache.put_all({"session:x": ANSWER})
        assert not path.parent.exists()
        for key in "ab":
            cache.put_all({key: ANSWER})
        assert made == [path.parent]
        assert list(cache.get_completions(["a", "b", "session:x"])) == [ANSWER] * 3
    with Cache(path) as cache:
        assert list(cache.get_completions(["a", "b", "session:x"])) == [ANSWER, ANSWER, None]


def test_a_lazy_cache_keeps_in_memory_what_it_stores_when_it_is_opened(tmp_path):
    path = tmp_path / "cache.sqlite"
    with Cache(path, lazily=True) as cache:
        cache.put_all({"a": ANSWER})
        assert cache.get_completion("a") == ANSWER
        assert not path.exists()
        cache.open()
        cache.put_all({"b": ANSWER})
        database = cache._database
        cache.open()
        assert cache._database is database  # opened once, it is kept
    with Cache(path) as cache:
        assert list(cache.get_completions("ab")) == [ANSWER, ANSWER]


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
        cache.put_context("context", 8)
        assert cache.get_completion("new") == ANSWER
        assert cache.get_context("context") == (8,)
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
