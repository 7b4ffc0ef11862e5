"""Judges that compute on this machine, on tiny random models."""

import json

import pytest

from harness.engines.base import CANDIDATE
from harness.errors import AdapterError, JudgeError, ModelError
from harness.judge.local_engine import choices_of
from harness.judge.open import open_judge
from harness.judge.questions import SCHEMAS, pair_requests, single_request
from harness.registry import EngineKind, Registry, use_registry
from harness.run.cache import Cache
from harness.types import JudgeRequest, Message, ModelRef, TextLoss

QUESTION = (Message(role="user", content="what is one"),)


@pytest.fixture
def judge_of():
    opened = []

    def make(spec):
        cache = Cache(None)
        judge = open_judge(spec, cache)
        opened.append((judge, cache))
        return judge

    yield make
    for judge, cache in opened:
        judge.close()
        cache.close()


def questions():
    singles = [
        single_request(task, "s/c", QUESTION, answer, rubric="the cat", references=("a mat",))
        for task in ("rubric", "reference", "factuality", "tone")
        for answer in ("the cat sat", "w1 w2", "")
    ]
    return [*singles, *pair_requests("s/c", QUESTION, "the cat", "two three")]


@pytest.fixture(scope="module")
def reward_dir(tiny_model_dir, tmp_path_factory):
    """A LoRA adapter with a scoring head, both random."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    directory = tmp_path_factory.mktemp("reward")
    torch.manual_seed(3)
    base = AutoModelForSequenceClassification.from_pretrained(tiny_model_dir, num_labels=1)
    model = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear", task_type="SEQ_CLS"))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.5)
    model.save_pretrained(directory)
    config = json.loads((directory / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(tiny_model_dir)
    (directory / "adapter_config.json").write_text(json.dumps(config))
    return directory


def test_a_local_model_has_a_verdict_on_every_question(tiny_model_dir, judge_of):
    replies = judge_of(f"local:{tiny_model_dir}").ask_all(questions())
    assert not any(isinstance(reply, JudgeError) for reply in replies)
    assert all("by likelihood" in reply.data["reason"] for reply in replies)


def test_a_local_model_takes_the_likeliest_reply(tiny_model_dir, judge_of):
    """As the engine's own losses say."""
    from harness.engines.base import CANDIDATE, LossRequest
    from harness.engines.one_model import open_engine

    request = questions()[0]
    (reply,) = judge_of(f"local:{tiny_model_dir}").ask_all([request])
    losses = {}
    options = ['{"pass": true}', '{"pass": false}']
    open_engine(str(tiny_model_dir)).losses(
        [LossRequest(key="k", side=CANDIDATE, text=text, messages=request.messages) for text in options],
        losses.update,
    )
    totals = [losses[place].nats_per_token * losses[place].tokens for place in (0, 1)]
    assert reply.data["pass"] is (totals[0] <= totals[1])


def test_a_question_asked_again_is_not_computed_again(tiny_model_dir, judge_of, monkeypatch):
    """Calibration asks everything several times; a model without chance says the same each time."""
    from harness.judge.local_engine import LocalEngine

    computed = []
    compute = LocalEngine.computed

    def counted(self, requests):
        computed.extend(requests)
        return compute(self, requests)

    monkeypatch.setattr(LocalEngine, "computed", counted)
    asked = [
        single_request("rubric", "s/c", QUESTION, "the cat", rubric="a mat", repeat=repeat)
        for repeat in range(3)
    ]
    replies = judge_of(f"local:{tiny_model_dir}").ask_all(asked)
    assert len(computed) == 1
    assert len({reply.text for reply in replies}) == 1


def test_a_question_longer_than_the_judges_context_is_an_error_of_its_own(tiny_model_dir, judge_of):
    """A long passage of one case spoils neither the others' verdicts nor its own: it has none."""
    fits, long = (
        single_request("rubric", key, QUESTION, answer, rubric="a mat")
        for key, answer in (("s/fits", "the cat"), ("s/long", "the cat " * 600))
    )
    free = JudgeRequest(
        key="s/free", task="other", messages=long.messages, reply_schema={}, prompt_version="v", max_tokens=4
    )
    first, *others = judge_of(f"local:{tiny_model_dir}").ask_all([fits, long, free])
    assert "by likelihood" in first.data["reason"]
    assert all(isinstance(other, JudgeError) for other in others)
    assert [str(other).partition(": ")[0] for other in others] == ["s/long", "s/free"]
    assert all("fill the judge's context of 512" in str(other) for other in others)


def test_a_free_question_is_answered_by_generating(tiny_model_dir, judge_of):
    """What a random model writes is no verdict, and that is an error."""
    free = JudgeRequest(
        key="s/c",
        task="other",
        messages=QUESTION,
        reply_schema={
            "type": "object",
            "properties": {"statements": {"type": "array"}},
            "required": ["statements"],
        },
        prompt_version="v",
        max_tokens=4,
    )
    (outcome,) = judge_of(f"local:{tiny_model_dir}").ask_all([free])
    assert "no usable reply" in str(outcome)


def test_the_possible_replies():
    assert choices_of(SCHEMAS["rubric"]) == ['{"pass": true}', '{"pass": false}']
    assert choices_of(SCHEMAS["reference"])[4] == '{"grade": 5}'
    assert choices_of(SCHEMAS["pairwise"]) == ['{"winner": "A"}', '{"winner": "B"}', '{"winner": "tie"}']
    assert choices_of({"type": "object"}) == []


def test_a_reward_model_scores_every_question(reward_dir, judge_of):
    replies = judge_of(f"reward:{reward_dir}").ask_all(questions())
    assert not any(isinstance(reply, JudgeError) for reply in replies), replies
    first, second = (reply.data["winner"] for reply in replies[-2:])
    assert (first, second) in {("A", "B"), ("B", "A"), ("tie", "tie")}


def test_a_reward_model_s_numbers_are_the_trainer_s(reward_dir, tiny_model_dir, judge_of):
    """The same conversation gets the number that training would have given it."""
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from trainers.rewards.model import conversation_rewards as rewards

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    base = AutoModelForSequenceClassification.from_pretrained(tiny_model_dir, num_labels=1)
    base.config.pad_token_id = tokenizer.pad_token_id
    model = PeftModel.from_pretrained(base, str(reward_dir)).eval()
    asked = [
        [{"role": "user", "content": "what is one"}, {"role": "assistant", "content": text}]
        for text in ("the cat", "two three")
    ]
    texts = [tokenizer.apply_chat_template(turns, tokenize=False) for turns in asked]
    expected = [f"{one:.2f}" for one in rewards(model, tokenizer, texts)]
    reply = judge_of(f"reward:{reward_dir}").ask_all(questions()[-2:])[0]
    assert reply.data["reason"] == f"rewards {expected[0]} and {expected[1]}"


def test_an_answer_is_scored_once_whatever_its_place_and_however_often_it_is_asked(
    reward_dir, judge_of, monkeypatch
):
    """Pairs come in both orders and calibration repeats them: two answers are two rows."""
    from harness.judge.reward_engine import RewardEngine

    rows = []
    load = RewardEngine.load

    def counted(self):
        load(self)
        self._model.register_forward_pre_hook(
            lambda module, args, inputs: rows.extend(inputs["input_ids"]), with_kwargs=True
        )

    monkeypatch.setattr(RewardEngine, "load", counted)
    asked = [
        request
        for repeat in range(3)
        for request in pair_requests("s/c", QUESTION, "the cat", "two three", repeat=repeat)
    ]
    replies = judge_of(f"reward:{reward_dir}").ask_all(asked)
    assert len(replies) == 6
    assert len(rows) == 2


def test_the_threshold_decides(reward_dir, judge_of):
    (request,) = [questions()[0]]
    assert judge_of(f"reward:{reward_dir}@-1000").ask_all([request])[0].data["pass"] is True
    assert judge_of(f"reward:{reward_dir}@1000").ask_all([request])[0].data["pass"] is False


def test_a_reward_model_does_not_answer_other_questions(reward_dir, judge_of):
    request = questions()[0]
    other = JudgeRequest(
        key="k",
        task="faithfulness",
        messages=request.messages,
        reply_schema={"type": "object"},
        prompt_version="v",
    )
    (outcome,) = judge_of(f"reward:{reward_dir}").ask_all([other])
    assert "only scores answers" in str(outcome)


def test_retraining_makes_another_judge(reward_dir, judge_of, tmp_path):
    """Identity is by content, so no kept reply of the old weights is found."""
    import shutil

    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(reward_dir, tmp_path / reward_dir.name)
    before = judge_of(f"reward:{copy}").identity
    tensors = {name: tensor + 1 for name, tensor in load_file(copy / "adapter_model.safetensors").items()}
    save_file(tensors, copy / "adapter_model.safetensors")
    assert judge_of(f"reward:{copy}").identity != before


@pytest.mark.parametrize(
    ("kind", "file"), [("local", "model.safetensors"), ("reward", "adapter_model.safetensors")]
)
def test_a_judge_that_is_retrained_before_it_loads_replies_nothing(
    kind, file, tiny_model_dir, reward_dir, judge_of, tmp_path
):
    """Its replies would be stored under the hash of the weights before."""
    import shutil

    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(tiny_model_dir if kind == "local" else reward_dir, tmp_path / "mine")
    judge = judge_of(f"{kind}:{copy}")
    tensors = {name: 2 * tensor for name, tensor in load_file(copy / file).items()}
    save_file(tensors, copy / file, {"format": "pt"})
    replies = judge.ask_all(questions())
    assert all("its files changed before they were loaded" in str(reply) for reply in replies)
    assert all(isinstance(reply, JudgeError) for reply in replies)


class SidesEngine:
    """A plug-in's engine: what fails is likelier."""

    def __init__(self, sides, plan):
        self.sides = sides

    def losses(self, requests, on_batch):
        assert {request.side for request in requests} == {*self.sides} == {CANDIDATE}
        on_batch(
            {
                n: TextLoss(passage="", nats_per_token=1.0 + ("true" in request.text), tokens=2)
                for n, request in enumerate(requests)
            }
        )


def test_a_judge_may_be_a_model_of_a_plug_in_s_engine(judge_of):
    """What is behind its name may be no files, which could have changed."""
    registry = Registry()
    kind = EngineKind(
        name="own",
        summary="Fails.",
        describe=lambda name: ModelRef(label=name, base_model=name, base_sha256="1" * 64),
        open=SidesEngine,
        measures_text=True,
    )
    registry.register("test", lambda registrar: registrar.add(kind))
    before = use_registry(registry)
    try:
        (reply,) = judge_of("local:own:best").ask_all(questions()[:1])
    finally:
        use_registry(before)
    assert reply.data["pass"] is False


def test_a_judge_of_this_machine_is_the_same_one_in_any_folder(reward_dir, judge_of, tmp_path):
    """Its scores are compared between machines; its threshold is part of it."""
    import shutil

    copy = shutil.copytree(reward_dir, tmp_path / reward_dir.name)
    own, elsewhere = (judge_of(f"reward:{directory}") for directory in (reward_dir, copy))
    assert own.identity != elsewhere.identity
    assert own.scorer == elsewhere.scorer
    assert judge_of(f"reward:{copy}@0.5").scorer not in {own.scorer, ""}


def test_what_is_no_reward_model_is_refused(tiny_adapter_dir, judge_of):
    with pytest.raises(AdapterError, match="not a reward model"):
        judge_of(f"reward:{tiny_adapter_dir}")
    with pytest.raises(ModelError):
        judge_of("local:nowhere")


@pytest.fixture
def random_judge(letters, shipped, save_tiny_llama, tmp_path):
    """Makes a random model with a shipped chat template."""
    return lambda template: f"local:{save_tiny_llama(tmp_path, letters(shipped(template)))}"


@pytest.mark.parametrize(
    ("template", "end"),
    [("deepseek_r1_distill", "<think>\n</think>\n\n"), ("gemma", "<start_of_turn>model\n")],
)
def test_the_prompt_of_a_local_judge_suits_its_template(template, end, random_judge, judge_of, monkeypatch):
    """A reasoning is closed, and a system message that the template refuses is put into the user's."""
    from harness.engines.transformers_engine import TransformersEngine

    seen, losses = [], TransformersEngine.losses

    def note(self, requests, on_batch):
        seen.extend(request.prompt.text for request in requests)
        losses(self, requests, on_batch)

    monkeypatch.setattr(TransformersEngine, "losses", note)
    request = questions()[0]
    (reply,) = judge_of(random_judge(template)).ask_all([request])
    assert "by likelihood" in reply.data["reason"]
    assert {text.endswith(end) for text in seen} == {True}
    assert request.messages[0].role == "system"
    assert all(request.messages[0].content.strip() in text for text in seen)


def test_a_judge_whose_numbers_leave_the_range_has_no_verdict(tiny_model_dir, judge_of, monkeypatch):
    """And the session goes on: the search for the likeliest of no numbers once waited for ever."""
    from harness.engines.transformers_engine import TransformersEngine
    from harness.types import TextLoss

    def losses(self, requests, on_batch):
        on_batch(
            {n: TextLoss(passage="r", nats_per_token=float("nan"), tokens=3) for n, _ in enumerate(requests)}
        )

    monkeypatch.setattr(TransformersEngine, "losses", losses)
    replies = judge_of(f"local:{tiny_model_dir}").ask_all(questions())
    assert all(isinstance(reply, JudgeError) for reply in replies)
    assert "no finite likelihood" in str(replies[0])
