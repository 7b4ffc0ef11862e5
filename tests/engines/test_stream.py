"""The loop that refills its batches writes what each prompt gets alone, however rows come, wait and go."""

import itertools
import random
from dataclasses import replace

import pytest

from harness.engines import questions as questions_of
from harness.engines import stream
from harness.engines.base import BASELINE, CANDIDATE, EarlyFaultError, GenerationRequest
from harness.engines.decode import has_windows, shared_lengths
from harness.engines.open import base_of, choose_plan, describe_model, open_sides
from harness.engines.questions import parts_of
from harness.engines.stream import Stream
from harness.types import GenerationSettings, Message

FIRST = "w1 w2 w3 w4 w5 w6 w7 w8 w9 the cat sat on the mat and the cat is one of two"


@pytest.fixture(scope="module")
def sides(tiny_model_dir, make_tiny_adapter, tmp_path_factory):
    directory = make_tiny_adapter(tiny_model_dir, tmp_path_factory.mktemp("stream"), spread=0.5, seed=4)
    candidate = describe_model(str(directory))
    return {CANDIDATE: candidate, BASELINE: base_of(candidate)}


@pytest.fixture(scope="module")
def asked():
    """Of different lengths and limits, some sampled, some with the same first tokens, some twice."""
    draw = random.Random(3)
    prompts = [" ".join(draw.choices(FIRST.split(), k=draw.randint(1, 30))) for _ in range(8)]
    prompts += [f"{FIRST} {each}" for each in prompts[:5]] + [FIRST, prompts[0]]
    return [
        GenerationRequest(
            key=f"{side}/{number}",
            side=side,
            messages=(Message(role="user", content=prompt),),
            settings=GenerationSettings(
                max_new_tokens=3 + 11 * number % 40, temperature=number % 3 / 2, seed=number
            ),
        )
        for side in (CANDIDATE, BASELINE)
        for number, prompt in enumerate(prompts)
    ]


@pytest.fixture(scope="module")
def opened(sides):
    """Engines by budget; the base and the adapter share their batches."""
    engines = {}

    def engine(budget):
        if budget not in engines:
            engines[budget] = open_sides(sides, choose_plan("float32", "cpu", budget, list(sides.values())))
        return engines[budget]

    return engine


def one_at_a_time(engine, asked):
    """By the loop that doesn't refill."""
    batched, found = engine.sides, []
    engine.sides = {name: replace(side, refills=False) for name, side in batched.items()}
    for request in asked:
        answered = {}
        engine.generate([request], answered.update)
        found.append(answered[0])
    engine.sides = batched
    return [(one.text, one.stop_reason, one.completion_tokens) for one in found]


@pytest.fixture(scope="module")
def alone(opened, asked):
    return one_at_a_time(opened(4096), asked)


def answers(engine, asked):
    found = {}
    engine.generate(asked, found.update)
    return said(found)


def unhalved(engine, asked):
    """As answers; a batch that fails as a whole is not halved, and ends the test."""
    batches = engine.answer_batches(asked)
    return said({n: one for rows in batches.rows for n, one in batches.compute(rows).items()})


def said(found):
    return [(found[n].text, found[n].stop_reason, found[n].completion_tokens) for n in range(len(found))]


@pytest.mark.parametrize("budget", [1, 60, 150, 400, 4096])
def test_texts_are_those_of_one_at_a_time_whatever_the_room(opened, asked, alone, budget):
    engine = opened(budget)
    assert all(side.refills for side in engine.sides.values())
    assert {placement.batches for placement in engine.plan.placements} == {"mixed"}
    assert answers(engine, asked) == alone


def test_rows_never_take_more_room_than_is_given(opened, asked, monkeypatch):
    """Only a single row may be longer than the room; rows that grow too long wait, and are read again."""
    monkeypatch.setattr("harness.engines.stream.EXPECTED_TOKENS", 2)
    seen, waited = [], []
    step, leave = Stream._step, Stream._leave

    def watched(self):
        seen.append(len(self._live) * max(row.columns + 1 for row in self._live) if self._live[1:] else 0)
        step(self)

    def left(self, place):
        waited.append(self._live[place].row.watch.tokens)
        return leave(self, place)

    monkeypatch.setattr(Stream, "_step", watched)
    monkeypatch.setattr(Stream, "_leave", left)
    engine = opened(150)
    answers(engine, asked)
    assert 100 < max(seen) <= 150 + 30  # a step ends before the longest row leaves
    assert len(waited) > len(asked)


@pytest.mark.parametrize("at", [0, 1, 7])
def test_where_memory_runs_out_half_as_many_go_on(opened, asked, alone, monkeypatch, at):
    calls, read, step = itertools.count(), Stream._read, Stream._step

    def short(real):
        def call(self, *given):
            if next(calls) == at:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
            return real(self, *given)

        return call

    monkeypatch.setattr(Stream, "_read", short(read))
    monkeypatch.setattr(Stream, "_step", short(step))
    with pytest.warns(RuntimeWarning, match=r"memory ran out with \d+ answers .*--gate-batch-tokens \d+"):
        assert unhalved(opened(400), asked) == alone


@pytest.mark.parametrize("at", [0, 3])
@pytest.mark.parametrize("place", ["reserve", "put", "choose_tokens"])
def test_memory_that_is_half_written_is_read_again(opened, asked, alone, monkeypatch, place, at):
    """It may run out while columns move, while rows are added, or after a step's forward pass."""
    engine = opened(400)  # its test prompts have their memory
    owner, calls = (stream if place == "choose_tokens" else stream._Store), itertools.count()
    real = getattr(owner, place)

    def short(*given):
        if next(calls) == at:
            if place == "reserve":
                given[0].end += 1
            elif place == "choose_tokens":  # some rows have drawn theirs
                real(given[0][:3], given[1][:3])
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return real(*given)

    monkeypatch.setattr(owner, place, short)
    with pytest.warns(RuntimeWarning, match="memory ran out"):
        assert unhalved(engine, asked) == alone


def other_model(tiny_model_dir, directory):
    """A model with other weights and the same tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(9)
    model = AutoModelForCausalLM.from_config(AutoModelForCausalLM.from_pretrained(tiny_model_dir).config)
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.data.normal_(0, 0.3)
    model.save_pretrained(directory)
    AutoTokenizer.from_pretrained(tiny_model_dir).save_pretrained(directory)
    return directory


def prompt_tuned(tiny_model_dir, directory, seed):
    import torch
    from peft import PromptTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model_dir), config)
    for name, weight in model.named_parameters():
        if "prompt_encoder" in name:
            weight.data.normal_(0, 1)
    model.peft_config["default"].base_model_name_or_path = str(tiny_model_dir)
    model.save_pretrained(directory)
    return directory


@pytest.mark.parametrize("kind", ["whole models", "virtual tokens", "virtual tokens and none"])
def test_first_tokens_are_kept_for_the_model_that_read_them(tiny_model_dir, asked, tmp_path, kind):
    """Sides that share no batches ask the same prompts; each reads them itself."""
    if kind == "whole models":
        sides = [tiny_model_dir, other_model(tiny_model_dir, tmp_path / "other")]
    else:
        sides = [prompt_tuned(tiny_model_dir, tmp_path / "one", 1)]
        sides += (
            [tiny_model_dir] if kind.endswith("none") else [prompt_tuned(tiny_model_dir, tmp_path / "two", 2)]
        )
    described = {CANDIDATE: describe_model(str(sides[0])), BASELINE: describe_model(str(sides[1]))}
    engine = open_sides(described, choose_plan("float32", "cpu", 4096, list(described.values())))
    assert all(side.refills for side in engine.sides.values())
    assert len({side.group for side in engine.sides.values()}) == 2
    assert answers(engine, asked) == one_at_a_time(engine, asked)


def test_an_adapter_may_be_called_like_a_part_of_a_weight(sides):
    described = {"first": sides[CANDIDATE], "lora": sides[CANDIDATE]}
    engine = open_sides(described, choose_plan("float32", "cpu", 4096, list(described.values())))
    assert [placement.weights for placement in engine.plan.placements] == ["shared", "shared"]


COLUMNS = (
    (
        "GPTNeoConfig",
        {"num_layers": 2, "num_heads": 4, "window_size": 24, "attention_types": [[["local"], 2]]},
    ),
    ("MptConfig", {"d_model": 64, "n_layers": 2, "n_heads": 4, "max_seq_len": 512}),
)


@pytest.mark.parametrize(("config", "values"), COLUMNS, ids=["local windows", "ALiBi"])
def test_models_that_attend_by_columns_see_no_gap(asked, tmp_path, config, values):
    """Rows enter together whose first tokens were read before and rows that have none."""
    from tests.conformance.tiny import Family, save_base

    sizes = {"hidden_size": 64, "max_position_embeddings": 512} if config == "GPTNeoConfig" else {}
    family = Family(config, config, {**sizes, **values, "initializer_range": 0.5})
    described = {CANDIDATE: describe_model(str(save_base(family, tmp_path)))}
    engine = open_sides(described, choose_plan("float32", "cpu", 4096, list(described.values())))
    assert engine.sides[CANDIDATE].refills
    asked = [request for request in asked if request.side == CANDIDATE]
    assert answers(engine, asked) == one_at_a_time(engine, asked)


@pytest.mark.parametrize(
    ("config", "values", "has"),
    [
        ("MistralConfig", {"sliding_window": 64}, True),
        ("MistralConfig", {"sliding_window": None}, False),
        ("Qwen2Config", {}, False),
        ("Gemma3TextConfig", {}, True),
        ("Llama4TextConfig", {}, True),
        ("GPTNeoConfig", {}, True),
        ("GPTNeoConfig", {"num_layers": 1, "attention_types": [[["global"], 1]]}, False),
        ("LlamaConfig", {}, False),
    ],
)
def test_windows_are_known_from_the_configuration(config, values, has):
    import transformers

    assert has_windows(getattr(transformers, config)(**values)) is has


def test_first_tokens_that_prompts_share_are_read_once(opened, asked, monkeypatch):
    read, real = [], Stream._read

    def counted(self, tokens, *rest):
        read.append(len(tokens) * max(map(len, tokens)))  # padding is computed too
        return real(self, tokens, *rest)

    monkeypatch.setattr(Stream, "_read", counted)
    engine = opened(4096)
    asked = [
        replace(request, messages=(Message(role="user", content=f"{FIRST} w{number}"),))
        for number, request in enumerate(asked)
    ]
    answers(engine, asked)
    prompts = [len(engine._question(request).tokens) for request in asked]
    assert sum(read) < 0.75 * sum(prompts)


@pytest.mark.parametrize(
    ("prompts", "lengths"),
    [
        ([], []),
        ([[1, 2]], [0]),
        ([[7] * 100, [7] * 100], [99, 99]),
        ([[7] * 65 + [1], [8], [7] * 65 + [2]], [65, 0, 65]),
        ([[7] * 30 + [1], [7] * 30 + [2]], [0, 0]),  # too few to be worth it
        # Two groups under a short common beginning are better than one.
        ([[*a, n] for a in ([1] + [2] * 90, [1] + [3] * 80) for n in range(3)], [91] * 3 + [81] * 3),
        # One group where its parts have little more in common.
        ([[5] * 90 + [n // 2, n % 2, n] for n in range(6)], [90] * 6),
        ([[1] * n for n in range(1, 40)], None),
    ],
)
def test_prompts_are_grouped_by_their_first_tokens(prompts, lengths):
    found = shared_lengths(prompts)
    assert lengths is None or found == lengths
    assert all(not length or length < len(prompt) for prompt, length in zip(prompts, found, strict=True))
    groups = {tuple(prompt[:length]) for prompt, length in zip(prompts, found, strict=True) if length}
    read = sum(map(len, groups)) + sum(
        len(prompt) - length for prompt, length in zip(prompts, found, strict=True)
    )
    assert read <= sum(map(len, prompts))


def test_workers_get_parts_of_one_size(opened, asked):
    engine = opened(4096)
    questions = [engine._question(request) for request in asked]
    every = list(range(len(asked)))
    parts = parts_of(every, questions, 4096, 2)
    assert sorted(row for part in parts for row in part) == every
    assert sorted(len(part) for part in parts) == [15, 15]
    assert len(parts_of(every, questions, 4096, 1)) == 1
    # Of each length both workers get as many, and a worker no fewer than eight if there are so many.
    work = [sum(len(questions[row].tokens) - questions[row].shared for row in part) for part in parts]
    assert max(work) < 1.1 * min(work)
    assert sorted(len(part) for part in parts_of(every, questions, 4096, 16)) == [7, 7, 8, 8]
    # A part is stored as a whole: it stays small where few rows are under way at a time.
    assert sorted(len(part) for part in parts_of(every, questions, 250, 1)) == [10, 10, 10]


def test_the_longest_answers_of_a_part_begin_first(opened, asked):
    """However much longer than usual their limit is."""
    limits = [100, 900, 200, 64, 500]
    ones = [replace(asked[0], settings=GenerationSettings(max_new_tokens=limit)) for limit in limits]
    questions = [opened(4096)._question(one) for one in ones]
    assert parts_of(list(range(5)), questions, 4096, 1) == [[1, 4, 2, 0, 3]]


def test_answers_that_have_ended_are_told_while_others_go_on(monkeypatch, opened, asked, alone):
    """Each with its share of the time so far, and once more with its batch."""
    monkeypatch.setattr(questions_of, "_TOLD_EVERY_S", 0.0)
    engine, early = opened(4096), []
    monkeypatch.setattr(engine, "on_early", early.append)
    assert answers(engine, asked) == alone
    told = {}
    for each in early:
        assert told.keys().isdisjoint(each)
        told.update(each)
    assert {n: (one.text, one.stop_reason, one.completion_tokens) for n, one in told.items()} == dict(
        enumerate(alone)
    )
    assert all(one.latency_s > 0 for one in told.values())


def test_a_fault_of_whoever_is_told_early_is_none_of_the_batch(monkeypatch, opened, asked):
    monkeypatch.setattr(questions_of, "_TOLD_EVERY_S", 0.0)
    engine, told = opened(4096), []

    def fail(found):
        told.append(found)
        raise EarlyFaultError

    monkeypatch.setattr(engine, "on_early", fail)
    with pytest.raises(EarlyFaultError):
        answers(engine, asked)
    assert len(told) == 1


def test_a_processor_reads_few_tokens_at_a_time_and_has_many_rows_under_way(
    monkeypatch, opened, asked, alone
):
    monkeypatch.setattr(stream, "_READ_TOKENS", 60)
    read, under_way = [], []
    real_read, real_step = Stream._read, Stream._step

    def note_read(self, tokens, *rest):
        read.append((len(tokens), len(tokens) * max(map(len, tokens))))
        return real_read(self, tokens, *rest)

    def note_step(self):
        under_way.append(len(self._live))
        real_step(self)

    monkeypatch.setattr(Stream, "_read", note_read)
    monkeypatch.setattr(Stream, "_step", note_step)
    assert answers(opened(4096), asked) == alone
    # The tokens of a prompt that others share are read by rows of their own.
    assert all(padded <= 60 or rows <= 2 for rows, padded in read)
    assert under_way[0] > 20


def test_the_answers_of_a_part_share_their_time(opened, asked):
    """Comparisons of times know by this what is one measurement."""
    found = {}
    opened(4096).generate(asked, found.update)
    assert len({answer.latency_s for answer in found.values()}) == 1


def test_an_answer_ends_once_its_checks_are_decided(opened, asked, alone):
    """It is the beginning of the whole answer, up to the text and a word after it."""
    greedy = [n for n, request in enumerate(asked) if request.settings.temperature == 0]
    place = max(greedy, key=lambda n: alone[n][2])
    words = alone[place][0].split()
    wanted = {"any": [words[1]], "fold": False}
    settings = replace(asked[place].settings, decided_by=(wanted,))
    found = {}
    opened(4096).generate([replace(asked[place], settings=settings)], found.update)
    assert alone[place][0].startswith(found[0].text)
    assert words[1] in found[0].text.split()
    assert found[0].completion_tokens < alone[place][2]
    assert found[0].stop_reason == "stop"
