"""Several processes of ``accelerate launch`` train one adapter."""

import json
import multiprocessing
import os
import signal
import socket
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from subprocess import CalledProcessError
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from transformers import TrainerControl

from trainers.run.processes import of_main_process, training_device
from trainers.run.progress import Watch

# Of different lengths: a step's mean is of its tokens, not of each process's mean.
UNEVEN = [
    {"prompt": f"what is w{i}", "completion": "one two three " * (1 + i % 5) + f"w{i}"} for i in range(32)
]
WEIGHTS = "adapter_model.safetensors"

RAY_TRAIN = Path(__file__).parents[3] / "examples" / "ray_train.py"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def of_two_machines(config):
    """``accelerate launch`` on each of two machines, which are both this one."""
    port = free_port()
    launch = ["accelerate.commands.launch", "--multi_gpu", "--num_machines", "2", "--num_processes", "2"]
    launch += ["--same_network", "--main_process_ip", "127.0.0.1", "--main_process_port", port]
    options = ["--mixed_precision", "no", "--dynamo_backend", "no", "-m", "trainers.methods.sft", config]
    return [[*launch, "--machine_rank", rank, *options] for rank in "01"]


def of_ray_train(config):
    """The example for Ray Train, with two workers."""
    pytest.importorskip("ray.train", reason="the extra ray is not installed")
    return [[str(RAY_TRAIN), "sft", config]]


@pytest.mark.processes
@pytest.mark.parametrize("lines", [of_two_machines, of_ray_train])
def test_two_processes_train_one_adapter(make_project, start, lines):
    """Two CPU processes: one result, written once, from twice as many rows a step.

    One process with twice the rows trains the same adapter, but for rounding: sums are added in another order.
    """
    project = make_project("sft", UNEVEN, max_steps=3)
    config = project.path / "config.yaml"
    config.write_text(json.dumps(project.settings))
    # A cluster of its own: beside it other tests have theirs.
    variables = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "RAY_ADDRESS": "local"}
    started = [start(*line, **variables) for line in lines(str(config))]
    said = [program.output.read() for program in started]
    assert [program.wait() for program in started] == [0] * len(started), said
    assert project.manifest["processes"] == 2
    assert project.manifest["steps"] == 3
    assert "".join(said).count("wrote ") == 1, said
    assert project.train(batch_size=2 * project.settings["batch_size"], output="alone") == 0
    together, alone = (load_file(project.path / each / WEIGHTS) for each in ("out", "alone"))
    assert together.keys() == alone.keys()
    for name, weights in alone.items():
        assert (weights - together[name]).abs().max() < 1e-4, name
    # Training moved each of them much further than that, and half the rows would have moved them elsewhere.
    assert project.train(output="half") == 0
    half = load_file(project.path / "half" / WEIGHTS)
    assert all((weights - half[name]).abs().max() > 1e-3 for name, weights in alone.items())


def _agree_in(rank, store, said):
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    watch, control = Watch(Console(quiet=True)), TrainerControl()
    watch.interrupted = rank == 1
    watch.on_step_end(SimpleNamespace(device="cpu"), None, control)
    stops = (watch.interrupted, control.should_save, control.should_training_stop)
    said.put((of_main_process(rank), *stops))


def test_all_processes_agree(tmp_path):
    """The main process decides; a signal to any of them stops all."""
    forked = multiprocessing.get_context("fork")
    said = forked.Queue()
    started = [
        forked.Process(target=_agree_in, args=(rank, f"file://{tmp_path}/store", said)) for rank in (0, 1)
    ]
    for process in started:
        process.start()
    assert [said.get(timeout=60) for _ in started] == [(0, True, True, True)] * 2
    for process in started:
        process.join(timeout=60)


@pytest.mark.processes
def test_a_signal_to_one_process_stops_all_after_one_step(make_project, start, capsys):
    """As the scheduler's of one of two nodes: the other one waited for it in the next step."""
    project = make_project("sft", UNEVEN, max_steps=500, save_steps=500)
    config = project.path / "config.yaml"
    config.write_text(json.dumps(project.settings))
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    together |= {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    main, other = (
        start("trainers.methods.sft", str(config), RANK=rank, LOCAL_RANK=rank, **together) for rank in "01"
    )
    for line in main.output:
        if line.startswith("step 1/500"):
            break
    os.kill(other.process, signal.SIGTERM)
    said = main.output.read()
    assert [main.wait(), other.wait()] == [2, 2], (said, other.output.read())
    assert "stopped at step" in said
    (checkpoint,) = (project.path / "out.work" / "checkpoints").glob("checkpoint-*")
    assert sorted(path.name for path in checkpoint.glob("rng_state_*")) == [
        "rng_state_0.pth",
        "rng_state_1.pth",
    ]
    assert project.train("--resume") == 4
    assert "the number of processes changed since the checkpoint (2, now 1)" in capsys.readouterr().err


@pytest.fixture
def ray_train(monkeypatch):
    """The example for Ray Train, of whose workers there is one."""
    pytest.importorskip("ray.train", reason="the extra ray is not installed")
    spec = spec_from_file_location("ray_train", RAY_TRAIN)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    alone = SimpleNamespace(get_world_rank=lambda: 0, get_local_rank=lambda: 0, get_world_size=lambda: 1)
    monkeypatch.setattr(module.ray.train, "get_context", lambda: alone)
    monkeypatch.setattr(module, "broadcast_from_rank_zero", lambda address: address)
    return module


@pytest.mark.processes
def test_a_worker_of_ray_looks_for_golden_sets_where_the_recipe_was_started(
    ray_train, make_project, tmp_path_factory, monkeypatch, capsys
):
    """A worker's own directory is that of ``ray start``: what ``accelerate launch`` refuses was trained there."""
    project = make_project("sft", UNEVEN)
    config = project.path / "config.yaml"
    config.write_text(json.dumps(project.settings))
    (project.path / "golden_sets").mkdir()
    case = {"id": "held-out", "prompt": "what is w1", "checks": [{"type": "contains", "value": "one"}]}
    (project.path / "golden_sets" / "g.yaml").write_text(json.dumps({"name": "g", "cases": [case]}))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    given = {
        "method": "sft",
        "recipe": str(config),
        "directory": str(project.path),
        "gpu": False,
        "options": [],
    }
    with pytest.raises(CalledProcessError) as caught:
        ray_train.work(given)
    assert caught.value.returncode == 4
    assert "golden case g/held-out" in caught.value.stderr
    assert caught.value.stderr in capsys.readouterr().err


def test_a_worker_of_ray_gets_the_trainer_s_own_options(ray_train, monkeypatch):
    """Without ``--resume`` a training whose worker was lost began anew, and deleted its checkpoints."""
    given = {}

    def train(work, **options):
        given.update(options["train_loop_config"])
        return SimpleNamespace(fit=lambda: work(given))

    def start(line, **_):
        raise InterruptedError(line)

    monkeypatch.setattr(ray_train, "DataParallelTrainer", train)
    monkeypatch.setattr(ray_train.subprocess, "Popen", start)
    monkeypatch.setattr(
        "sys.argv", ["ray_train.py", "sft", "sft.yaml", "--resume", "--output", "out", "--allow-leakage"]
    )
    with pytest.raises(InterruptedError) as caught:
        ray_train.main()
    (line,) = caught.value.args
    assert line[3:] == [str(Path("sft.yaml").resolve()), "--resume", "--allow-leakage", "--output", "out"]


def test_what_the_trainer_refuses_on_a_worker_is_said_here_with_its_status(ray_train, monkeypatch, capsys):
    failures = {0: CalledProcessError(1, ["python"], stderr="a crash")}

    class FailingTrainer:
        def __init__(self, work, **options):
            self.given = options["train_loop_config"]

        def fit(self):
            assert self.given["directory"] == str(Path.cwd())
            raise ray_train.WorkerGroupError("a long traceback", failures)

    monkeypatch.setattr(ray_train, "DataParallelTrainer", FailingTrainer)
    monkeypatch.setattr("sys.argv", ["ray_train.py", "sft", "sft.yaml"])
    with pytest.raises(ray_train.WorkerGroupError):
        ray_train.main()
    failures[1] = CalledProcessError(4, ["python"], stderr="sft.yaml:3: basse: unknown")
    with pytest.raises(SystemExit) as caught:
        ray_train.main()
    assert caught.value.code == 4
    assert capsys.readouterr().err.splitlines()[-1] == "sft.yaml:3: basse: unknown"


@pytest.mark.parametrize(
    ("rank", "gpus", "device"),
    [
        (None, 1, "cuda:0"),
        ("0", 2, "cuda:0"),
        ("1", 2, "cuda:1"),
        # A worker of Ray Train, or a task of Slurm, that sees its own GPU alone: it was sent to one that is not there.
        ("1", 1, "cuda:0"),
    ],
)
def test_each_process_has_its_own_gpu(monkeypatch, rank, gpus, device):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert training_device(gpus) == device
    assert training_device(0) == "cpu"


@pytest.mark.parametrize(("rank", "gpus"), [("0", 2), ("1", 2), ("1", 1)])
@pytest.mark.parametrize("quantization", ["nf4", "none"])
def test_a_base_is_loaded_to_the_gpu_that_accelerate_computes_on(
    tiny_model_dir, monkeypatch, rank, gpus, quantization
):
    """With GPUs that are only claimed: what transformers would be given, and what accelerate compares it with."""
    import bitsandbytes  # noqa: F401 # before a GPU is claimed: its import looks for one
    import torch
    from accelerate.state import PartialState
    from transformers import AutoModelForCausalLM

    from trainers.run.base_model import load_base

    asked = {}

    def from_pretrained(directory, **options):
        asked.update(options)
        raise RuntimeError("no GPU here")

    monkeypatch.setenv("LOCAL_RANK", rank)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", from_pretrained)
    with pytest.raises(Exception, match="no GPU here"):
        load_base(tiny_model_dir, quantization, torch.float32)
    state = PartialState.__new__(PartialState)
    state.device = None
    state.num_processes, state.local_process_index = 2, int(rank)
    state.distributed_type = "MULTI_GPU"
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    state.set_device()
    assert torch.device(asked["device_map"][""]) == state.device == torch.device("cuda", int(rank) % gpus)


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("ACCELERATE_USE_FSDP", "FSDP"),
        ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed"),
        ("ACCELERATE_USE_MEGATRON_LM", "Megatron-LM"),
        ("ACCELERATE_USE_PARALLELISM_CONFIG", "tensor or context parallelism"),
    ],
)
def test_divided_weights_are_refused_before_anything_is_read(
    make_project, monkeypatch, capsys, variable, name
):
    monkeypatch.setenv(variable, "true")
    project = make_project("sft", UNEVEN, data="not-there.jsonl")
    assert project.train() == 4
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"accelerate launch: {name} divides the weights among devices" in line


@pytest.mark.parametrize(
    ("trl", "message"),
    [
        ({"fsdp": "full_shard"}, "trl.fsdp: FSDP divides the weights"),
        ({"deepspeed": "zero3.json"}, "trl.deepspeed: DeepSpeed divides the weights"),
    ],
)
def test_so_are_trls_keys_for_it(make_project, capsys, trl, message):
    assert make_project("sft", UNEVEN, trl=trl).train() == 4
    assert message in capsys.readouterr().err
