"""What the manifest says of rewards: each step's mean with n, the change, and the divergence where it was computed."""

import io
from types import SimpleNamespace

from rich.console import Console

from harness.types.storage import plain
from trainers.measure.samples import Sample
from trainers.rewards.definition import Reward
from trainers.shared.reward_notes import report_rewards, reward_notes


def samples(rewards_by_step):
    return [
        Sample(
            step=step, place=f"rows.jsonl:{row}", prompt="p", answer=f"answer {row}", reward=value, rewards={}
        )
        for step, values in enumerate(rewards_by_step, start=1)
        for row, value in enumerate(values, start=1)
    ]


def test_each_step_has_its_mean_and_n():
    noted = reward_notes(samples([[0.0, 1.0], [1.0, 1.0, 0.25]]), [])
    assert plain(noted.rewards.steps) == [
        {"step": 1, "reward": 0.5, "n": 2},
        {"step": 2, "reward": 0.75, "n": 3},
    ]


def test_the_divergence_is_noted_where_it_was_computed():
    noted = reward_notes(samples([[0.0], [1.0]]), [], kl={2: 0.125})
    assert [step.kl for step in noted.rewards.steps] == [None, 0.125]
    assert "kl" not in plain(noted.rewards.steps)[0]


def test_the_change_is_from_the_first_to_the_last_fifth():
    """Ten steps: the first two against the last two."""
    noted = reward_notes(samples([[0.0, 0.5]] * 2 + [[9.0, 9.0]] * 6 + [[0.5, 1.0]] * 2), [])
    change = noted.rewards.change
    assert (change["before"]["estimate"], change["after"]["estimate"]) == (0.25, 0.75)
    assert (change["change"]["estimate"], change["n_before"], change["n_after"]) == (0.5, 4, 4)


def test_files_that_rewards_read_are_noted_by_reward():
    def reward(completions, **_):
        return [1.0] * len(completions)

    built = [
        Reward(name="mine", place="rewards[0]", weight=1.0, function=reward, facts={"sha256": "ab"}),
        Reward(name="length", place="rewards[1]", weight=1.0, function=reward),
    ]
    assert reward_notes(samples([[1.0]]), built).rewards.files == {"mine": {"sha256": "ab"}}


def test_without_samples_there_is_nothing_to_note():
    noted = reward_notes([], [])
    assert (noted.rewards.steps, noted.rewards.change, noted.canaries.summary) == ((), None, ())


def test_the_change_of_small_rewards_is_told():
    """Rewards of a few millionths rose from 0.000 to 0.000."""
    noted = reward_notes(samples([[1e-6, 2e-6]] * 5 + [[4e-6, 5e-6]] * 5), [])
    shown = io.StringIO()
    report_rewards(SimpleNamespace(console=Console(file=shown, width=300)), noted)
    said = shown.getvalue()
    assert said.startswith(
        "reward    1.5e-06 in the first fifth of the steps (n=4), 4.5e-06 in the last (n=4): "
    )
    assert "+3e-06 [+2" in said
