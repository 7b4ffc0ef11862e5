"""Where a drop comes from: driver slice and shared traits, named only where they stand out."""

import re
from dataclasses import replace

import pytest

from harness.comparison.gate import run_gate
from harness.comparison.pairing import pair_runs, paired_metrics
from harness.comparison.slices import (
    _by_trait,
    _distinct,
    _note_places,
    _part,
    driver_slice,
    shared_traits,
)
from harness.comparison.traits import is_word, traits_of
from harness.presentation.sentences import sentences_of
from harness.types import Completion, GateVerdict, Message, Stability


def said(result, answer, prompt="Say yes.", stop="stop"):
    """The result with that answer to that prompt."""
    completion = Completion(
        text=answer, stop_reason=stop, prompt_tokens=1, completion_tokens=1, latency_s=0.1
    )
    return replace(
        result,
        completion=completion,
        case=replace(result.case, messages=(Message(role="user", content=prompt),)),
    )


def rate_of(now, then):
    pairing = pair_runs(now, then)
    return paired_metrics(pairing)[0], pairing.pairs


def test_the_slice_that_lost_most_is_named_with_its_interval(make_result, make_run):
    """20 of 80 cases are tagged dates; 9 of the 10 lost ones are among them."""

    def run(lost):
        return make_run(
            [
                make_result(f"orders/{n:02}", n not in lost, tags=["dates"] if n < 20 else ["names"])
                for n in range(80)
            ]
        )

    comparison, verdict = run_gate(run({*range(9), 50}), run(set()))
    (driver,) = comparison.drivers
    assert (driver.kind, driver.name, driver.n, driver.lost_in_set) == ("tag", "dates", 20, 10)
    assert driver.lost == tuple(f"orders/{n:02}" for n in range(9))
    assert driver.drop.low < driver.drop.estimate == 0.45 < driver.drop.high
    assert any(
        reason.startswith("orders: 9 of 10 lost cases are of tag dates: drop +0.450 [")
        and reason.endswith("n=20, elsewhere +0.017: 00, 01, 02, 03, 04 and 4 more")
        for reason in sentences_of(verdict)
    )


def test_a_cluster_that_is_lost_whole_is_one_event(make_result, make_run):
    """One of ten clusters is lost whole: whatever its cases share, they share because they are one cluster."""

    def run(lost):
        return make_run(
            [
                make_result(f"s/{n:02}", n not in lost, cluster=f"c{n // 8}", tags=[f"t{n // 8}"])
                for n in range(80)
            ]
        )

    metric, pairs = rate_of(run(set(range(8))), run(set()))
    assert driver_slice(metric, pairs, 0.9) is None


def test_a_tag_whose_clusters_are_all_lost_is_the_driver(make_result, make_run):
    """Six of twenty clusters have the tag, and they alone are lost."""

    def run(lost):
        return make_run(
            [
                make_result(f"s/{n:02}", n not in lost, cluster=f"c{n // 4}", tags=["a" if n < 24 else "b"])
                for n in range(80)
            ]
        )

    driver = driver_slice(*rate_of(run(set(range(24))), run(set())), 0.9)
    assert (driver.name, len(driver.lost), driver.lost_in_set) == ("a", 24, 24)


def test_losses_all_over_the_set_have_no_driver(make_result, make_run):
    def run(lost):
        return make_run([make_result(f"s/{n:02}", n not in lost, tags=[f"t{n % 4}"]) for n in range(80)])

    comparison, verdict = run_gate(run(set(range(12))), run(set()))
    assert verdict.outcome is GateVerdict.REGRESS
    assert comparison.drivers == ()


def test_a_run_that_passes_names_no_driver(make_result, make_run):
    run = make_run([make_result(f"s/{n:02}", tags=["a"]) for n in range(100)])
    comparison, _ = run_gate(run, run)
    assert (comparison.drivers, comparison.traits) == ((), ())


@pytest.mark.parametrize(
    ("answer", "trait"),
    [
        ("YES, IT IS.", "answer is in capitals"),
        ("the cat " * 60, "answer repeats itself"),
        ("Посылка уже в пути.", "answer is in another alphabet than the prompt"),
        ("Yes. Rate us now!!!", "answer ends with '!!!'"),
        ("\ud800 yes \ud800", "answer begins with '\\ud800'"),
    ],
)
def test_what_a_whole_answer_is_like_is_a_trait(make_result, answer, trait):
    plain, odd = (said(make_result(f"s/{n}"), text) for n, text in enumerate(("Yes, it is 4.", answer)))
    of_plain, of_odd = traits_of([plain, odd])
    assert trait in of_odd
    assert trait not in of_plain


@pytest.mark.parametrize(
    "answer", ["A Rose is a ROSE, is_a rose 42", "Straße STRASSE İstanbul", "12 ...", ""]
)
def test_words_are_those_of_small_letters_each_once(make_result, answer):
    """Also of texts that have other small letters than capitals."""
    (traits,) = traits_of([said(make_result("s/a"), answer, "Say it.")])
    words = dict.fromkeys(word.lower() for word in re.findall(r"\w{2,}", answer))
    assert [trait for trait in traits if is_word(trait)] == [
        *("prompt says 'say'", "prompt says 'it'"),
        *(f"answer says {word!r}" for word in words),
    ]


def test_japanese_is_one_alphabet(make_result):
    """A text of kana and signs, asked in kana alone."""
    result = said(make_result("s/a"), "東京都新宿区")
    message = replace(result.case.messages[-1], content="どこですか")
    (traits,) = traits_of([replace(result, case=replace(result.case, messages=(message,)))])
    assert "answer is in another alphabet than the prompt" not in traits


def test_what_lost_answers_share_is_said_with_counts(make_result, make_run):
    """The lost answers were cut; kept ones are JSON."""
    then = make_run([said(make_result(f"s/{n:02}"), '{"a": 1}') for n in range(60)])
    now = make_run(
        [
            said(
                make_result(f"s/{n:02}", n >= 10),
                '{"a": 1}' if n >= 10 else '{"a": ',
                stop="stop" if n >= 8 else "length",
            )
            for n in range(60)
        ]
    )
    comparison, verdict = run_gate(now, then)
    traits = {
        trait.trait: (trait.lost, trait.of_lost, trait.kept, trait.of_kept) for trait in comparison.traits
    }
    assert traits["answer is not JSON"] == (10, 10, 0, 50)
    assert traits["answer cut at the token limit"] == (8, 10, 0, 50)
    assert any(
        "lost cases have in common: answer is not JSON (10 of 10 lost, 0 of 50 kept); " in reason
        for reason in sentences_of(verdict)
    )


def test_after_a_total_loss_the_answers_are_compared_with_those_before(make_result, make_run):
    """Nothing is kept that could differ from what is lost."""
    then = make_run([said(make_result(f"s/{n:02}"), f"The sum is {n}.") for n in range(30)])
    now = make_run([said(make_result(f"s/{n:02}", n == 0), f'{{"sum": {n}') for n in range(30)])
    comparison, verdict = run_gate(now, then)
    trait = comparison.traits[0]
    assert (trait.trait, trait.lost, trait.of_lost, trait.before) == ("answer begins with '{'", 29, 29, 0)
    assert trait.keys == tuple(f"s/{n:02}" for n in range(1, 30))
    assert (trait.kept, trait.of_kept) == (0, 1)
    # All 29 got it and none lost it: McNemar's exact test, corrected over at most a hundred traits.
    assert 0.5**29 <= trait.p_value <= 100 * 0.5**29
    assert any(
        "lost cases have in common: answer begins with '{' (29 of 29 lost, 0 of 29 before)" in reason
        for reason in sentences_of(verdict)
    )


def test_what_the_answers_had_before_explains_no_total_loss(make_result, make_run):
    """All answers begin alike and are equally long on both sides; only their numbers differ."""
    then = make_run([said(make_result(f"s/{n:02}"), f"{{{n:02}}}") for n in range(30)])
    now = make_run([said(make_result(f"s/{n:02}", False), f"{{{n + 30:02}}}") for n in range(30)])
    assert shared_traits(*rate_of(now, then)) == []


def test_one_cluster_that_is_lost_whole_is_one_vote(make_result, make_run):
    then = make_run([said(make_result(f"s/{n:02}", cluster="one"), "yes") for n in range(30)])
    now = make_run([said(make_result(f"s/{n:02}", False, cluster="one"), "{") for n in range(30)])
    assert shared_traits(*rate_of(now, then)) == []


@pytest.mark.parametrize(
    ("answer", "trait"),
    [
        ('{"a": 1}', "answer begins with '{'"),
        ("```json\n{}", "answer begins with '```'"),
        ("Sure! Here it is.", "answer begins with 'sure'"),
        ("\U0001f600 hello", "answer begins with '\U0001f600'"),
    ],
)
def test_an_answer_begins_with_a_word_or_a_sign(make_result, answer, trait):
    assert next(traits_of([said(make_result("s/a"), answer)]))[0] == trait


def test_a_word_of_the_prompts_may_be_what_is_shared(make_result, make_run):
    prompts = [f"Order {n} from Paris." if n < 6 else f"Order {n} from Rome." for n in range(60)]
    then = make_run([said(make_result(f"s/{n:02}"), "yes", prompts[n]) for n in range(60)])
    now = make_run([said(make_result(f"s/{n:02}", n >= 6), "yes", prompts[n]) for n in range(60)])
    (trait,) = shared_traits(*rate_of(now, then))
    assert (trait.trait, trait.lost, trait.kept) == ("prompt says 'paris'", 6, 0)


def test_traits_are_plain_words(make_result):
    cut = said(make_result("s/a"), "Well now", "A much longer prompt", stop="length")
    empty = said(make_result("s/b"), " ", "Short")
    first, second = traits_of([cut, empty])
    assert first[:6] == [
        "answer begins with 'well'",
        "answer cut at the token limit",
        "answer is not JSON",
        "answer ends with 'now'",
        "answer longer than the median",
        "prompt longer than the median",
    ]
    assert "answer is empty" in second
    assert "answer says 'well'" in first


def test_reruns_follow_their_cases_into_a_slice(make_result, make_run):
    run = make_run([make_result(f"s/{n}", tags=["even" if n % 2 == 0 else "odd"]) for n in range(6)])
    metric, _ = rate_of(run, run)
    noted = tuple(Stability(passed=n, answers=9) for n in range(6))
    part = _part(replace(metric, reruns=noted), lambda key: key in {"s/1", "s/4"})
    assert [each.passed for each in part.reruns] == [1, 4]
    assert _part(metric, lambda key: True).reruns == ()


def test_a_trait_of_two_lost_cases_is_looked_at():
    found = _by_trait([["two", "one", "same"], ["same", "two"]])
    _note_places([["one", "two", "none"], ["none"], ["two", "none"]], found, start=2)
    assert {trait: list(places) for trait, places in found.items()} == {"two": [0, 1, 2, 4], "same": [0, 1]}


def test_traits_of_the_same_cases_are_named_once():
    found = _by_trait([["two", "one", "same"], ["same", "two"], ["one"]])
    assert {trait: list(places) for trait, places in _distinct(found).items()} == {
        "two": [0, 1],
        "one": [0, 2],
    }


def test_a_trait_names_the_lost_cases_that_have_it(make_result, make_run):
    """Ten of forty lost, nine of which say sorry; so does one that is kept."""

    def answer(n, passed):
        return said(
            make_result(f"s/{n:02}", passed), "Sorry, no." if n < 9 or n == 39 else f"The sum is {n}."
        )

    then = make_run([answer(n, True) for n in range(40)])
    now = make_run([answer(n, n >= 10) for n in range(40)])
    trait = next(each for each in shared_traits(*rate_of(now, then)) if "sorry" in each.trait)
    assert trait.keys == tuple(f"s/{n:02}" for n in range(9))
    assert (trait.lost, trait.of_lost, trait.kept, trait.of_kept) == (9, 10, 1, 30)


def test_a_driver_s_interval_has_the_gate_s_level(make_result, make_run):
    def run(lost):
        return make_run(
            [
                make_result(f"s/{n:02}", n not in lost, tags=["dates" if n < 20 else "names"])
                for n in range(80)
            ]
        )

    for alpha, confidence in ((0.05, 0.9), (0.01, 0.98)):
        (driver,) = run_gate(run({*range(12)}), run(set()), alpha=alpha)[0].drivers
        assert driver.drop.confidence == pytest.approx(confidence)


def test_a_word_comes_after_what_is_true_of_the_whole_answer():
    assert is_word("answer says 'sorry'")
    assert not is_word("answer begins with 'sorry'")


def test_lengths_are_compared_with_the_median_of_the_given_cases(make_result):
    short, middle, long = traits_of([said(make_result(f"s/{n}"), "a" * n, "p" * n) for n in (1, 5, 9)])
    assert "answer longer than the median" in long
    assert "prompt longer than the median" in long
    for traits in (short, middle):
        assert {"answer no longer than the median", "prompt no longer than the median"} <= set(traits)
