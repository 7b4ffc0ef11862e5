"""PPO: advantages and losses computed by hand, and a policy that learns beside RLOO on the same reward."""

import json
import math
import shutil

import pytest
import torch

from harness.engines.open import describe_model
from trainers.measure.samples import read_samples

PROMPTS = [{"prompt": f"what is w{i}"} for i in range(12)]
ONLINE = {
    "reward_model": "judge",
    "quantization": "none",
    "num_generations": 4,
    "batch_size": 8,
    "max_completion_length": 6,
    "learning_rate": 0.02,
    "save_steps": 100,
}


@pytest.fixture(scope="module")
def judge(tiny_model_dir, tmp_path_factory):
    """A reward model that prefers "one two", made once."""
    from tests.trainers.conftest import PAIRS, Project

    path = tmp_path_factory.mktemp("judge")
    made = Project(path, tiny_model_dir, "reward", PAIRS, {"max_steps": 12, "quantization": "none"})
    assert made.train() == 0
    return made.output


@pytest.fixture
def online(make_project, judge, tmp_path):
    def make(method="ppo", **settings):
        if not (tmp_path / "judge").exists():
            shutil.copytree(judge, tmp_path / "judge")
        return make_project(method, PROMPTS, **{**ONLINE, **settings})

    return make


# ---- by hand


def written(*rows):
    return torch.tensor(rows, dtype=torch.bool)


def test_rewards_are_the_penalty_of_each_token_and_the_score_at_the_last():
    from trainers.shared.actor_critic import token_rewards

    here = written([False, True, True, True], [True, True, False, False])
    logps = torch.tensor([[9.0, -1.0, -2.0, -3.0], [-1.0, -1.0, 9.0, 9.0]])
    reference = torch.tensor([[0.0, -1.5, -2.0, -1.0], [-2.0, -1.0, 0.0, 0.0]])
    found = token_rewards(torch.tensor([5.0, -1.0]), logps, reference, here, beta=0.1)
    # -0.1 × (0.5, 0, -2), and 5 at the last; -0.1 × (1, 0), and -1 at the last.
    expected = [[0, -0.05, 0, 5.2], [-0.1, -1.0, 0, 0]]
    assert found.tolist() == [pytest.approx(row) for row in expected]


def test_advantages_of_three_tokens():
    """γ = 0.9, λ = 0.5: δ = r + γ V' - V is (0.9·2-1, 0.9·4-2, 1-4) = (0.8, 1.6, -3); A = δ + 0.45 A'."""
    from trainers.shared.actor_critic import estimated_advantages

    here = written([False, True, True, True, False])
    rewards = torch.tensor([[0.0, 0.0, 0.0, 1.0, 0.0]])
    values = torch.tensor([[7.0, 1.0, 2.0, 4.0, 7.0]])  # what the head says elsewhere doesn't count
    found = estimated_advantages(rewards, values, here, discount=0.9, gae_lambda=0.5)
    last = -3.0
    middle = 1.6 + 0.45 * last
    assert found[0].tolist() == pytest.approx([0, 0.8 + 0.45 * middle, middle, last, 0])


@pytest.mark.parametrize("gae_lambda", [0.0, 1.0])
def test_the_ends_of_lambda_are_one_steps_error_and_the_whole_return(gae_lambda):
    from trainers.shared.actor_critic import estimated_advantages

    rewards, values = torch.randn(3, 6), torch.randn(3, 6)
    found = estimated_advantages(rewards, values, torch.ones(3, 6, dtype=torch.bool), 0.9, gae_lambda)
    later = torch.cat([values[:, 1:], torch.zeros(3, 1)], dim=1)
    if gae_lambda == 0:
        expected = rewards + 0.9 * later - values
    else:
        returns = [sum(0.9 ** (k - t) * rewards[:, k] for k in range(t, 6)) for t in range(6)]
        expected = torch.stack(returns, dim=1) - values
    assert torch.allclose(found, expected, atol=1e-5)


def test_the_clipped_loss_of_each_case():
    """Ratios inside and outside of 1 ± 0.2, for good and for bad tokens: the smaller of both products counts."""
    from trainers.shared.actor_critic import clipped_loss

    ratio = torch.tensor([[1.1, 1.5, 0.5, 1.5, 0.5, 9.0]], requires_grad=True)
    advantages = torch.tensor([[1.0, 2.0, 2.0, -1.0, -1.0, 9.0]])
    here = written([True, True, True, True, True, False])
    loss = clipped_loss(ratio, advantages, here, 0.2)
    assert loss.item() == pytest.approx(-(1.1 + 2.4 + 1.0 - 1.5 - 0.8) / 5)
    loss.backward()
    # No gradient where the ratio already went further than is rewarded.
    assert (ratio.grad[0] != 0).tolist() == [True, False, True, True, False, False]


def test_normalised_advantages_count_answers_alone():
    from trainers.shared.actor_critic import normalised

    found = normalised(torch.tensor([[1.0, 3.0, 99.0]]), written([True, True, False]))
    assert found[0].tolist() == pytest.approx([-1, 1, 0])


def test_answers_of_any_length_are_marked_where_they_are_predicted():
    from trainers.shared.actor_critic import padded

    ids, mask, here = padded([[5, 6], [7]], [[8], [9]], "cpu")
    assert ids.tolist() == [[5, 6, 8], [7, 9, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert here.tolist() == [[False, True], [True, False]]


def test_the_first_loss_is_the_one_by_hand(online, monkeypatch):
    """On a real policy: ρ is 1, so the policy's part is minus the advantages' mean, 0, and the head says 0."""
    from trainers.shared import actor_critic

    seen = []
    plain = actor_critic.ActorCritic.compute_loss

    def noting(self, model, inputs, *others, **named):
        loss = plain(self, model, inputs, *others, **named)
        seen.append((float(loss), inputs, self.model))
        return loss

    monkeypatch.setattr(actor_critic.ActorCritic, "compute_loss", noting)
    assert online(max_steps=1, beta=0.0).train() == 0
    loss, rollout, _ = seen[0]
    returns = rollout.returns[rollout.written]
    assert loss == pytest.approx(0.1 * 0.5 * float(returns.square().mean()), rel=1e-4)
    # γ = 1, λ = 0.95, V = 0, no penalty: a return falls by 0.95 for each token before the last.
    for row, here in zip(rollout.returns, rollout.written, strict=True):
        answer = row[here]
        score = float(answer[-1])
        wanted = [score * 0.95 ** (len(answer) - 1 - place) for place in range(len(answer))]
        assert answer.tolist() == pytest.approx(wanted, rel=1e-4)


# ---- runs


@pytest.mark.training
def test_it_learns_beside_rloo_on_the_same_reward(online, tmp_path):
    """The same reward model, prompts and start; PPO takes four steps on each batch of answers."""
    risen = {}
    for method, settings in (("rloo", {"max_steps": 32, "seed": 3}), ("ppo", {"max_steps": 60})):
        run = online(method, output=method, **settings)
        assert run.train() == 0
        manifest = json.loads((tmp_path / method / "training_manifest.json").read_text())
        risen[method] = manifest["rewards"]["change"]["change"]
        assert all("kl" in step for step in manifest["rewards"]["steps"])
    assert risen["rloo"]["low"] > 0
    assert risen["ppo"]["low"] > 0, risen
    samples = read_samples(tmp_path / "ppo.work")
    assert sorted({sample.step for sample in samples}) == list(range(1, 61, 4))
    described = describe_model(str(tmp_path / "ppo"))
    assert described.training.method == "ppo"
    assert not list((tmp_path / "ppo").glob("value_head*"))


@pytest.mark.training
def test_a_resumed_run_ends_like_an_unbroken_one(online, tmp_path, monkeypatch):
    """The value head, its optimizer's state and the order of prompts come from the checkpoint."""
    from safetensors.torch import load_file

    from trainers.run.progress import Watch

    plain = Watch.on_step_end

    def press_ctrl_c(self, args, state, control, **others):
        self.interrupted = state.global_step == 8
        plain(self, args, state, control, **others)

    settings = {"max_steps": 16, "save_steps": 8, "passes": 4}
    assert online(output="whole", **settings).train() == 0
    stopped = online(output="out", **settings)
    with monkeypatch.context() as patch:
        patch.setattr(Watch, "on_step_end", press_ctrl_c)
        assert stopped.train() == 2
    assert (tmp_path / "out.work" / "checkpoints" / "checkpoint-8" / "value_head.pt").is_file()
    assert stopped.train("--resume") == 0
    whole, resumed = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "out"))
    assert max(float((whole[name] - resumed[name]).abs().max()) for name in whole) < 1e-5


def test_it_goes_on_from_an_adapter_and_stays_near_it(online, make_tiny_adapter, tiny_model_dir, tmp_path):
    """The divergence is from that adapter: 0 before the first step though it is far from the base."""
    from safetensors.torch import load_file

    make_tiny_adapter(tiny_model_dir, tmp_path / "start", spread=0.5)
    run = online(adapter=str(tmp_path / "start"), max_steps=8, learning_rate=0.02)
    assert run.train() == 0
    name = "adapter_model.safetensors"
    start, frozen = (
        load_file(tmp_path / "start" / name),
        load_file(tmp_path / "out.work" / "checkpoints" / "checkpoint-8" / "ref" / name),
    )
    assert all(start[key].equal(frozen[key]) for key in start)
    assert not all(start[key].equal(learnt) for key, learnt in load_file(run.output / name).items())
    assert run.manifest["rewards"]["steps"][0]["kl"] == pytest.approx(0, abs=1e-4)
    assert run.manifest["started_from"]["path"] == str(tmp_path / "start")


def test_it_trains_in_bfloat16_on_a_base_in_4_bits(online):
    run = online(quantization="nf4", dtype="bfloat16", max_steps=4)
    assert run.train() == 0
    assert all(math.isfinite(entry["loss"]) for entry in run.manifest["losses"])


def test_a_golden_subset_can_stop_it(online, tmp_path):
    """Answering golden cases between sampling and learning leaves both as they were."""
    case = "name: g\ncases:\n  - {id: a, prompt: say w9, checks: [{type: contains, value: nothing}]}\n"
    (tmp_path / "stop.yaml").write_text(case)
    run = online(max_steps=16, save_steps=2, early_stop={"golden": ["stop.yaml"], "patience": 2})
    assert run.train() == 0
    assert run.manifest["early_stop"]["best_step"] == 2
    assert run.manifest["steps"] == 6


@pytest.mark.parametrize("accumulation", [1, 4])
def test_forward_passes_of_one_step_share_their_answers(online, accumulation):
    """Advantages are normalised over the whole step, whatever fits into one forward pass."""
    run = online(batch_size=8 // accumulation, gradient_accumulation=accumulation, max_steps=4)
    assert run.train() == 0
    (step,) = run.manifest["rewards"]["steps"]
    assert step["n"] == 8
    assert all(math.isfinite(entry["loss"]) for entry in run.manifest["losses"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peft": {"method": "prefix"}}, "peft.method: ppo trains lora, loha"),
        ({"peft": {"dropout": 0.1}}, "peft.dropout: ppo compares probabilities"),
        ({"num_generations": 1, "batch_size": 16}, "batch_size: a step answers 16 prompts, and data has 12"),
        ({"num_generations": 3}, "not a multiple of num_generations 3"),
        ({"trl": {"num_ppo_epochs": 2}}, "trl.num_ppo_epochs: not a key of TRL's TrainingArguments"),
        ({"clip_range": 1.0}, "clip_range: found 1.0"),
        ({"passes": 1, "clip_range": 0.05}, "clip_range: with passes: 1 each step has new answers"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_4(online, capsys, settings, message):
    assert online(**settings).train() == 4
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


def test_several_processes_are_refused(online, capsys, monkeypatch):
    run = online()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run.train() == 4
    assert "ppo runs in one process" in capsys.readouterr().err
