"""Models are loaded one at a time, whatever thread asks for them."""

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.engines import loading
from harness.engines.loading import attach, quiet_load
from harness.engines.open import base_of, choose_plan, describe_model, open_sides
from harness.errors import AdapterError, ModelError
from harness.types import ExecutionPlan


def test_threads_that_load_at_once_get_whole_models(tied_model_dir):
    """Transformers switches the tying of weights off for the whole class while it loads one model."""
    from transformers import PreTrainedModel

    model = describe_model(str(tied_model_dir))
    plan = choose_plan("float32", "cpu", 512, [model])
    tie = PreTrainedModel.tie_weights
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            loaded = list(pool.map(lambda _: open_sides({"candidate": model}, plan), range(24)))
    finally:
        sys.setswitchinterval(interval)
        left, PreTrainedModel.tie_weights = PreTrainedModel.tie_weights, tie
    assert left is tie
    for engine in loaded:
        weights = engine.sides["candidate"].model
        assert weights.get_output_embeddings().weight is weights.get_input_embeddings().weight


def test_a_model_that_computes_no_number_is_refused(tiny_model_dir, tmp_path):
    """Its weights are finite, its configuration isn't: each answer would be the token 0."""
    directory = shutil.copytree(tiny_model_dir, tmp_path / "nan")
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "rms_norm_eps": float("nan")}))
    model = describe_model(str(directory))
    with pytest.raises(ModelError, match="nan: computes NaN in place of logits"):
        open_sides({"candidate": model}, choose_plan("float32", "cpu", 512, [model]))


@pytest.mark.parametrize("written", ["adapter", "base"])
def test_files_that_change_before_they_are_loaded_are_refused(
    written, tiny_model_dir, make_tiny_adapter, tmp_path
):
    """The answers of the new ones would be stored as those of the old ones."""
    base = shutil.copytree(tiny_model_dir, tmp_path / "base")
    adapter = make_tiny_adapter(base, tmp_path / "mine", spread=0.5, seed=3)
    candidate = describe_model(str(adapter))
    sides = {"candidate": candidate, "baseline": base_of(candidate)}
    plan = choose_plan("float32", "cpu", 512, list(sides.values()))
    assert open_sides(sides, plan).largest_logit_change("candidate") > 0
    if written == "adapter":
        make_tiny_adapter(base, adapter, spread=0.5, seed=4)
    else:
        (base / "generation_config.json").write_text('{"eos_token_id": 5}')
    with pytest.raises(ModelError, match=r"mine: its files changed before they were loaded"):
        open_sides(sides, plan)


@pytest.mark.parametrize("kind", ["AdamssConfig", "PsoftConfig"])
def test_an_adapter_that_each_device_computes_anew_stays_on_the_cpu(kind, tiny_model_dir, make_adapter):
    """Its directions come from a decomposition of the base, whose signs are another device's own."""
    import peft
    from transformers import AutoModelForCausalLM

    sizes = {"num_subspaces": 2, "subspace_rank": 2} if kind == "AdamssConfig" else {}
    config = getattr(peft, kind)(task_type="CAUSAL_LM", r=4, target_modules=["q_proj"], **sizes)
    adapter = make_adapter(config, base=tiny_model_dir)
    base = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    assert attach(base, "candidate", str(adapter)).active_adapter == "candidate"
    elsewhere = AutoModelForCausalLM.from_pretrained(tiny_model_dir).to("meta")
    with pytest.raises(AdapterError, match=r"stored in no file.* on meta another one .*--gate-device cpu"):
        attach(elsewhere, "candidate", str(adapter))


class _LoadedModel:
    """A model as transformers hands it over, on a device that this machine may lack."""

    def __init__(self, device, *, quantised):
        import torch

        self.device, self.is_quantized = torch.device(device), quantised
        self.config = SimpleNamespace(is_encoder_decoder=False)
        self.generation_config = SimpleNamespace(use_cache=True)

    def to(self, device):
        import torch

        assert not self.is_quantized
        self.device = torch.device(device)
        return self

    def eval(self):
        return self


@pytest.fixture
def load_stored(monkeypatch, tiny_model_dir, tmp_path):
    """Loads a base of some configuration; what transformers is told, and where the model then is."""

    def load(device, config, *, quantised=True, placed=None, weights="peft"):
        directory = shutil.copytree(tiny_model_dir, tmp_path / "stored", dirs_exist_ok=True)
        written = json.loads((tiny_model_dir / "config.json").read_text())
        (directory / "config.json").write_text(json.dumps({**written, **config}))
        told = {}

        def from_pretrained(_directory, **settings):
            told.update(settings)
            found = placed or settings.get("device_map", {"": "cpu"})[""]
            return _LoadedModel(found, quantised=quantised), {}

        kind = SimpleNamespace(from_pretrained=from_pretrained)
        monkeypatch.setattr(loading, "_auto_class", lambda _: kind)
        monkeypatch.setattr(loading, "refuse_incomplete_model", lambda *_: None)
        plan = ExecutionPlan(
            engine="transformers", dtype="bfloat16", device=device, batch_tokens=64, weights=weights
        )
        return told, loading.load_base(plan, directory)

    return load


STORED = {"quantization_config": {"quant_method": "gptq", "bits": 4}}


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
@pytest.mark.parametrize("config", [STORED, {"text_config": STORED}], ids=["its own", "its text part's"])
def test_quantised_weights_are_loaded_to_the_plans_device(load_stored, device, config):
    """Transformers leaves GPTQ, AWQ and FP8 on the processor, which then computed what the plan gave a GPU."""
    told, model = load_stored(device, config)
    assert told["device_map"] == {"": device}
    assert str(model.device) == device


def test_other_weights_are_moved_and_the_processor_is_not_named(load_stored):
    """HQQ is refused where the processor is named; None as a quantisation would undo the stored one."""
    for device, config, quantised in (("cuda", {}, False), ("cpu", STORED, True), ("cpu", {}, False)):
        told, model = load_stored(device, config, quantised=quantised)
        assert told.keys().isdisjoint({"device_map", "quantization_config"})
        assert str(model.device) == device
    # Numbers that transformers turned into plain ones are like any others.
    told, model = load_stored("cuda", STORED, quantised=False, placed="cpu")
    assert str(model.device) == "cuda"


@pytest.mark.parametrize(("device", "placed"), [("cuda", "cpu"), ("cpu", "cuda:0"), ("cuda:1", "cpu")])
def test_quantised_weights_that_are_elsewhere_are_refused(load_stored, device, placed):
    kind = placed.partition(":")[0]
    with pytest.raises(ModelError, match=f"stored: its weights .* to {kind} alone: use --gate-device {kind}"):
        load_stored(device, STORED, placed=placed)


@pytest.fixture
def speechless(tiny_model_dir, tmp_path):
    """A copy of the tiny model without its tokenizer."""
    directory = shutil.copytree(tiny_model_dir, tmp_path / "speechless")
    for file in directory.glob("*token*"):
        file.unlink()
    (directory / "chat_template.jinja").unlink(missing_ok=True)
    return directory


def test_a_base_without_a_tokenizer_gets_its_adapters(
    speechless, tiny_model_dir, make_adapter, lora, bare_texts, engine_texts, tmp_path
):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    adapter = make_adapter(lora(), base=speechless, tokenizer=tokenizer)
    texts, _ = engine_texts(adapter)
    assert texts["candidate-0"] == bare_texts(speechless, adapter, adapter)
    assert texts["baseline"] == bare_texts(tiny_model_dir)
    with pytest.raises(ModelError, match="speechless: no vocabulary of a tokenizer"):
        engine_texts(make_adapter(lora(), "dumb", base=speechless))
    with pytest.raises(ModelError, match="speechless: no vocabulary of a tokenizer"):
        engine_texts(speechless)


def test_the_lent_tokenizer_is_a_part_of_the_bases_answers(speechless, make_adapter, lora, letters):
    from harness.engines.open import base_of
    from harness.run.cache import completion_keys, prompt_key
    from harness.types import GenerationSettings, Message

    def keys(tokenizer):
        adapter = make_adapter(lora(), base=speechless, tokenizer=tokenizer)
        base = base_of(describe_model(str(adapter)))
        plan, asked = choose_plan("float32", "cpu", 512, [base]), (Message(role="user", content="w1"),)
        settings = GenerationSettings()
        return {prompt_key(base, asked, settings), completion_keys(base, plan)(asked, settings, "a", None)}

    one = letters("{{ messages[0].content }}")
    assert keys(one) == keys(one)
    assert not keys(one) & keys(letters("{{ messages[0].content }}!"))


@pytest.mark.parametrize(
    ("threads", "cores", "busy", "free"),
    [(2, 2, 0.2, 2), (2, 2, 0.9, 1), (2, 2, 12.0, 1), (16, 16, 4.2, 12), (1, 1, 0.0, 1), (2, 64, 30.0, 2)],
)
def test_threads_leave_cores_to_the_processes_that_use_them(threads, cores, busy, free):
    assert loading.free_threads(threads, cores, busy) == free


def test_what_others_use_is_read_from_the_cores_of_this_process(monkeypatch, tmp_path):
    """Two of three cores are ours: in 2 s they worked 3 s, of which 1 s was ours; so others had one of them."""
    stat, clock, own = tmp_path / "stat", [10.0], [5.0]
    monkeypatch.setattr(loading, "_CORE_TIMES", stat)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("os.times", lambda: (own[0], 0.0, 9.0, 9.0, 0.0))

    def write(first, second):
        rows = {"cpu": "9" * 5, "cpu0": first, "cpu1": second, "cpu2": "700 0 0 0 0 0 0 0 0 0"}
        stat.write_text("".join(f"{core} {row}\n" for core, row in rows.items()) + "intr 4 5\n")
        return loading.CoreTimes.now()

    before = write("100 0 50 800 50 0 0 0 0 0", "100 0 0 900 0 0 0 0 7 7")
    clock[0], own[0] = 12.0, 6.0
    after = write("200 0 50 850 100 0 0 0 0 0", "240 10 20 900 0 10 10 10 7 7")
    assert after.busy_since(before) == pytest.approx(1.0)
    stat.unlink()
    assert loading.CoreTimes.now() is None


def test_a_number_of_threads_that_somebody_chose_stays(monkeypatch):
    import torch

    chosen = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    times = {"cores": 8, "busy": 0, "total": 0, "own_s": 0.0, "clock_s": 0.0}
    readings = [loading.CoreTimes(**times), loading.CoreTimes(**{**times, "busy": 500, "total": 800})] * 3
    monkeypatch.setattr(loading.CoreTimes, "now", lambda: readings.pop(0))
    monkeypatch.setattr(loading, "granted_cores", lambda: None)
    plan = ExecutionPlan(engine="transformers", dtype="float32", device="cpu", batch_tokens=64)

    def load(plan):
        with loading.leave_busy_cores(plan):
            assert chosen == []

    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    load(plan)
    monkeypatch.delenv("OMP_NUM_THREADS")
    readings[:] = readings[-2:] * 2
    load(replace(plan, dtype="bfloat16"))
    readings[:] = readings[-2:]
    assert chosen == []
    with loading.leave_busy_cores(plan):
        pass
    assert chosen == [3]


@pytest.mark.parametrize(("dtype", "chosen"), [("float32", [2]), ("bfloat16", [])])
def test_a_container_has_no_more_threads_than_cores_are_granted_to_it(monkeypatch, dtype, chosen):
    """In low precision another number of threads gives other texts."""
    import torch

    found = []
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(torch, "set_num_threads", found.append)
    monkeypatch.setattr(loading.CoreTimes, "now", lambda: None)
    monkeypatch.setattr(loading, "granted_cores", lambda: 2)
    plan = ExecutionPlan(engine="transformers", dtype=dtype, device="cpu", batch_tokens=64)
    with loading.leave_busy_cores(plan):
        pass
    assert found == chosen


def test_functions_decorated_while_libraries_load_are_compiled_when_they_are_called(monkeypatch):
    import torch

    compiled = []

    def noted(model, **settings):
        compiled.append((model, settings))
        return model

    monkeypatch.setattr(torch, "compile", noted)
    layer = torch.nn.Linear(1, 1)
    with quiet_load():

        @torch.compile
        def double(number):
            return 2 * number

        @torch.compile(dynamic=False)
        def triple(number):
            return 3 * number

        assert compiled == []
        assert torch.compile(layer, fullgraph=True) is layer
        assert compiled == [(layer, {"fullgraph": True})]
    assert torch.compile is noted
    assert (double(2), triple(2), triple(3)) == (4, 6, 9)
    assert [settings for _, settings in compiled] == [{"fullgraph": True}, {}, {"dynamic": False}]
    assert double.__name__ == "double"


def test_a_missing_kernel_is_for_debugging_and_other_warnings_stay(caplog):
    """The notice is bitsandbytes' own, at its import; a second call adds nothing."""
    import logging
    from importlib.util import find_spec
    from pathlib import Path

    from harness.engines import loading

    place = find_spec("bitsandbytes")
    if place is not None:
        own = Path(place.origin).parent / "backends" / "cpu" / "ops.py"
        assert loading._KERNEL_NOTICE in own.read_text(encoding="utf-8")
    log = logging.getLogger(loading._KERNEL_LOG)
    before = list(log.filters)
    try:
        loading.hush_missing_kernel()
        loading.hush_missing_kernel()
        log.warning(f"{loading._KERNEL_NOTICE} from a hub: %s", "none")
        log.warning("weights are damaged")
        assert caplog.messages == ["weights are damaged"]
        with caplog.at_level(logging.DEBUG):
            log.warning(f"{loading._KERNEL_NOTICE} from a hub: %s", "none")
        assert caplog.records[-1].levelno == logging.DEBUG
    finally:
        log.filters[:] = before
