"""What chance alone has lost is seldom explained: how often a tag or a trait is named where there is no pattern."""

import numpy as np
import pytest

from harness.comparison.pairing import fold_repeats
from harness.comparison.slices import LEVEL, driver_slice, shared_traits
from tests.comparison.test_slices import rate_of, said


@pytest.mark.simulation
def test_slices_and_traits_are_rarely_named_by_chance(make_result, make_run):
    """200 runs whose losses fall anywhere: ten tags and dozens of words, and at most 5 % name any."""
    random, named = np.random.default_rng(0), np.zeros(2)
    words = ["red", "blue", "green", "big", "small", "old", "new", "fast"]
    for _ in range(200):
        tags = [f"t{random.integers(10)}" for _ in range(60)]
        prompts = [" ".join(random.choice(words, 3)) for _ in range(60)]
        lost = set(random.choice(60, 10, replace=False).tolist())
        then = make_run(
            [said(make_result(f"s/{n:02}", tags=[tags[n]]), "yes", prompts[n]) for n in range(60)]
        )
        now = make_run(
            [
                said(make_result(f"s/{n:02}", n not in lost, tags=[tags[n]]), "yes", prompts[n])
                for n in range(60)
            ]
        )
        metric, pairs = rate_of(now, then)
        named += [driver_slice(metric, pairs, 0.9) is not None, bool(shared_traits(metric, pairs))]
    assert (named / 200 <= LEVEL + 3 * (LEVEL * 0.95 / 200) ** 0.5).all()


@pytest.mark.simulation
def test_answers_that_differ_by_chance_alone_explain_no_total_loss(make_result, make_run):
    """200 runs of 30 lost cases whose answers are random words on both sides: at most 5 % name a trait."""
    random, named, runs = np.random.default_rng(2), 0, 200
    words = ["red", "blue", "green", "big", "small", "old", "new", "fast"]
    for _ in range(runs):
        sides = []
        for passed in (True, False):
            answers = [" ".join(random.choice(words, 3)) for _ in range(30)]
            sides.append(
                make_run([said(make_result(f"s/{n:02}", passed), answer) for n, answer in enumerate(answers)])
            )
        named += bool(shared_traits(*rate_of(sides[1], sides[0])))
    assert named / runs <= LEVEL + 3 * (LEVEL * 0.95 / runs) ** 0.5


@pytest.mark.simulation
def test_random_clusters_that_are_lost_whole_name_nothing(make_result, make_run):
    """60 runs of 20 clusters, 4 of them lost whole: tags follow the clusters, as words of the prompts do."""
    random, named = np.random.default_rng(1), np.zeros(2)
    runs = 60
    for _ in range(runs):
        tags = [f"t{random.integers(6)}" for _ in range(20)]
        gone = set(random.choice(20, 4, replace=False).tolist())
        then = make_run(
            [
                said(
                    make_result(f"s/{n:02}", cluster=f"c{n // 4}", tags=[tags[n // 4]]),
                    "yes",
                    f"word{n // 4}",
                )
                for n in range(80)
            ]
        )
        now = make_run(
            [
                said(
                    make_result(f"s/{n:02}", n // 4 not in gone, cluster=f"c{n // 4}", tags=[tags[n // 4]]),
                    "yes",
                    f"word{n // 4}",
                )
                for n in range(80)
            ]
        )
        metric, pairs = rate_of(now, then)
        named += [driver_slice(metric, pairs, 0.9) is not None, bool(shared_traits(metric, pairs))]
    assert (named / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5).all()


@pytest.mark.simulation
@pytest.mark.parametrize(("cases", "lost"), [(80, 3), (200, 10)])
def test_words_of_cases_that_are_lost_by_chance_name_nothing(make_result, make_run, cases, lost):
    """Five words a prompt, common and rare ones: which of them two lost cases share is chance, too."""
    random, named = np.random.default_rng(1), np.zeros(2)
    runs = 150
    for _ in range(runs):
        prompts = [" ".join(f"w{word}" for word in random.zipf(1.3, 5) % 60) for _ in range(cases)]
        tags, gone = random.integers(6, size=cases), {*random.choice(cases, lost, replace=False).tolist()}
        now, then = (
            make_run(
                [
                    said(
                        make_result(f"s/{n:03}", n not in gone or before, tags=[f"t{tags[n]}"]), "yes", prompt
                    )
                    for n, prompt in enumerate(prompts)
                ]
            )
            for before in (False, True)
        )
        metric, pairs = rate_of(now, then)
        named += [driver_slice(metric, pairs, 0.9) is not None, bool(shared_traits(metric, pairs))]
    assert (named / runs <= LEVEL + 2 * (LEVEL * 0.95 / runs) ** 0.5).all()


@pytest.mark.simulation
@pytest.mark.parametrize("repeat", [1, 5])
def test_what_varies_most_is_named_for_nothing_where_nothing_changed(make_result, make_run, repeat):
    """Hard cases pass in 60 % on both sides, and what fails is no JSON: their tag, words and answers are no news."""
    random, named, runs = np.random.default_rng(3), np.zeros(2), 100
    for _ in range(runs):
        sides = []
        for _ in range(2):
            results = []
            for n in range(100):
                passed = random.random(repeat) < (0.6 if n < 30 else 1.0)
                tags, prompt = (["hard"], "A riddle.") if n < 30 else (["easy"], "A sum.")
                results += [
                    said(make_result(f"s/{n:02}", bool(each), tags=tags), "{}" if each else "no", prompt)
                    for each in passed
                ]
            sides.append(make_run(fold_repeats(results)))
        metric, pairs = rate_of(*sides)
        named += [driver_slice(metric, pairs, 0.9) is not None, bool(shared_traits(metric, pairs))]
    assert (named / runs <= LEVEL + 3 * (LEVEL * 0.95 / runs) ** 0.5).all()
