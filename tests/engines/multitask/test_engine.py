"""The heads of a multi-task model answer golden cases, as text that ordinary checks read."""

import json
import shutil
import subprocess
import sys

import pytest

import harness.engines.multitask.engine as engine_module
from harness.engines.base import CANDIDATE, GenerationRequest, LossRequest
from harness.engines.open import choose_plan, describe_model, open_sides
from harness.errors import AdapterError, CasesFailedError, EngineError, ModelError, NoneAnsweredError
from harness.types import GenerationSettings, Message

ASKED = [
    ("intent", "book the room"),
    ("names", "call Anna Berg in Oslo, is it so?"),
    ("answer", "Who lives in Oslo?\n\nAnna Berg lives in Oslo. Bo lives in Rome."),
    ("intent", "where is the long and winding room that i asked for"),
    ("answer", "Where?\n\nIn Rome."),
    ("names", "in"),
]


def request(task, text):
    return GenerationRequest(
        key=f"set/{task}",
        side=CANDIDATE,
        messages=(Message(role="system", content="Not read."), Message(role="user", content=text)),
        settings=GenerationSettings(task=task),
    )


def opened(directory, batch_tokens=4096):
    model = describe_model(str(directory))
    return open_sides({CANDIDATE: model}, choose_plan("float32", "cpu", batch_tokens, [model]))


def answers(engine, asked=ASKED):
    completions = {}
    engine.generate([request(task, text) for task, text in asked], completions.update)
    return [completions[index] for index in range(len(asked))]


@pytest.fixture(scope="module")
def engine(tiny_multitask_dir):
    return opened(tiny_multitask_dir)


def test_each_head_answers_in_its_own_form(engine):
    given = [completion.text for completion in answers(engine)]
    assert given[0] in {"book", "call", "where"}
    for (_, text), said in [(ASKED[1], given[1]), (ASKED[5], given[5])]:
        assert all(one["text"] in text and one["type"] in {"city", "person"} for one in json.loads(said))
    assert given[2]
    assert given[2] in ASKED[2][1].partition("\n\n")[2]
    assert given[4] in "In Rome."


def test_the_batch_does_not_change_an_answer(engine, tiny_multitask_dir):
    """Padding is masked out: one row at a time says the same."""
    alone = [completion.text for one in ASKED for completion in answers(engine, [one])]
    assert [completion.text for completion in answers(engine)] == alone
    narrow = opened(tiny_multitask_dir, batch_tokens=1)
    assert [completion.text for completion in answers(narrow)] == alone


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        (None, "book", r"set/None names no task \(allowed under generation.task: intent, names, answer\)"),
        ("mood", "book", "set/mood asks for the task 'mood'"),
        ("answer", "Who lives here?", "set/answer can't be put to the task answer: it needs a question"),
        ("intent", "book " * 200, "set/intent is too long: 202 tokens, the model takes 128"),
    ],
)
def test_a_case_that_no_head_can_answer_is_named(engine, task, text, message):
    with pytest.raises(AdapterError, match=message):
        answers(engine, [(task, text)])


def test_a_case_that_is_too_long_is_named_before_any_is_answered(engine):
    asked, found = [*ASKED, ("intent", "book " * 200)], {}
    with pytest.raises(AdapterError, match="set/intent is too long"):
        engine.generate([request(*one) for one in asked], found.update)
    assert found == {}


@pytest.fixture
def failing(monkeypatch):
    """Makes the network fail on some batches."""

    def fail(fails, error):
        real = engine_module.answer

        def answer(network, task, texts):
            if fails(texts):
                raise error
            return real(network, task, texts)

        monkeypatch.setattr(engine_module, "answer", answer)

    return fail


def test_a_batch_for_which_memory_runs_out_is_halved(engine, failing):
    asked = [("intent", f"book the room {number}") for number in range(7)]
    whole = [one.text for one in answers(engine, asked)]
    failing(lambda texts: len(texts) > 2, RuntimeError("CUDA out of memory"))
    assert [one.text for one in answers(engine, asked)] == whole


def test_a_case_at_which_the_model_fails_fails_alone(engine, failing):
    failing(lambda texts: "where is it" in texts, MemoryError())
    asked, found = [request(*one) for one in [*ASKED, ("intent", "where is it")]], {}
    with pytest.raises(CasesFailedError) as caught:
        engine.generate(asked, found.update)
    assert sorted(found) == [*range(len(ASKED))]
    assert list(caught.value.failures) == [len(ASKED)]
    assert "set/intent: the model failed on it: MemoryError" in caught.value.failures[len(ASKED)]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tiny_multitask_dir, tmp_path, number):
    """Of NaN the first label is the largest: it was the answer to everything."""
    from safetensors.torch import load_file, save_file

    directory = shutil.copytree(tiny_multitask_dir, tmp_path / "diverged")
    heads = load_file(directory / "heads.safetensors")
    heads["intent.weight"][0, 0] = number
    save_file(heads, directory / "heads.safetensors")
    with pytest.raises(
        AdapterError, match=r"1 of its weights hold NaN or infinity: intent\.weight; did training"
    ):
        opened(directory)
    shutil.copy(tiny_multitask_dir / "heads.safetensors", directory)
    encoder = load_file(directory / "encoder" / "model.safetensors")
    encoder["embeddings.word_embeddings.weight"][-1, 0] = number
    save_file(encoder, directory / "encoder" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(AdapterError, match=r"hold NaN or infinity: embeddings\.word_embeddings\.weight; did"):
        opened(directory)


@pytest.fixture
def with_adapter(tiny_multitask_dir, tiny_encoder_dir, tmp_path):
    """The same heads on the base's encoder with an adapter, whose tensors a test changes."""
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file, save_file
    from transformers import AutoModel

    directory = shutil.copytree(
        tiny_multitask_dir, tmp_path / "lora", ignore=shutil.ignore_patterns("encoder")
    )
    lora = LoraConfig(r=2, target_modules=["query", "value"], task_type="FEATURE_EXTRACTION")
    encoder = get_peft_model(AutoModel.from_pretrained(tiny_encoder_dir), lora, adapter_name="shared")
    for name, parameter in encoder.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.5)
    encoder.save_pretrained(directory / "adapters")
    config = json.loads((directory / "multitask.json").read_text())
    config |= {"encoder": "lora", "tasks": [{**task, "adapter": "shared"} for task in config["tasks"]]}
    (directory / "multitask.json").write_text(json.dumps(config))
    path = directory / "adapters" / "shared" / "adapter_model.safetensors"

    def change(edit):
        save_file(edit(load_file(path)), path)
        return directory

    return change


def test_an_adapter_on_the_encoder_answers(with_adapter, engine):
    given = [one.text for one in answers(opened(with_adapter(lambda tensors: tensors)))]
    assert given != [one.text for one in answers(engine)]


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda tensors: dict([*tensors.items()][1:]), "1 of its weights are missing and would be random"),
        (
            lambda tensors: {name.replace(".query.", ".qvery."): one for name, one in tensors.items()},
            "adapter of another base: 4 of its weights belong nowhere in it",
        ),
    ],
)
def test_an_adapter_of_the_encoder_is_loaded_whole_or_refused(with_adapter, edit, told):
    """PEFT fills what is missing with nothing: its head then answered by the base's encoder."""
    with pytest.raises(AdapterError, match=told):
        opened(with_adapter(edit))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("task", ["intent", "names", "answer"])
def test_what_a_head_computes_out_of_range_is_no_answer(tiny_multitask_dir, task, number):
    """In float16 finite weights may give infinite numbers, and NaN of these."""
    engine = opened(tiny_multitask_dir)
    engine._networks[CANDIDATE].heads[task].bias.data[-1] = number
    asked = [one for one in ASKED if one[0] == task]
    with pytest.raises(NoneAnsweredError, match=rf"set/{task}: .*its logits are NaN.*--gate-dtype float32"):
        answers(engine, asked)
    found = {}
    with pytest.raises(CasesFailedError):
        engine.generate([request(*one) for one in ASKED], found.update)
    assert sorted(found) == [place for place, one in enumerate(ASKED) if one[0] != task]


def test_text_cannot_be_scored(engine):
    with pytest.raises(EngineError, match="set/a: a multi-task model predicts no text"):
        engine.losses([LossRequest(key="set/a", side=CANDIDATE, text="b")], lambda batch: None)


def test_describing_one_imports_no_torch(tiny_multitask_dir):
    program = (
        "import sys; from harness.engines.open import describe_model; import harness.engines.multitask.engine;"
        f"describe_model({str(tiny_multitask_dir)!r}); assert not {{'torch', 'transformers'}} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_files_that_change_before_they_are_loaded_are_refused(tiny_multitask_dir, tmp_path):
    directory = shutil.copytree(tiny_multitask_dir, tmp_path / "heads")
    model = describe_model(str(directory))
    path = directory / "heads.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ModelError, match="heads: its files changed before they were loaded"):
        open_sides({CANDIDATE: model}, choose_plan("float32", "cpu", 4096, [model]))
