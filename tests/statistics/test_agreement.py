"""Agreement beyond chance: published examples, bounds, and intervals that cover."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.agreement import Ratings, flip_rate, kappa, krippendorff_alpha
from harness.types import Stability

# Krippendorff (2011), section C: four observers, twelve units.
OBSERVERS = [
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
]


def ratings(first, second, **rest):
    return Ratings(
        first=tuple(map(float, first)),
        second=tuple(map(float, second)),
        clusters=tuple(range(len(first))),
        **rest,
    )


def table(counts):
    """Ratings of two raters from a table of how often they said what."""
    pairs = [(i, j) for i, row in enumerate(counts) for j, n in enumerate(row) for _ in range(n)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def test_cohen_s_textbook_table_as_a_worked_example():
    """20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, by chance 0.5, kappa 0.4."""
    found = kappa([ratings(*table([[20, 5], [10, 15]]))])
    assert found.estimate == pytest.approx(0.4)
    assert found.low < 0.4 < found.high


def test_the_interval_of_a_worked_example():
    """The same table by hand. Without one item kappa is 0.390041 (20 of them), 0.431177 (5), 0.426421 (10) or 0.384937 (15).

    The jackknife's error of those is 0.129934. On the scale of disagreement (0.3 observed, 0.5 expected) it is
    worth 0.3 x 0.7 / (0.129934 x 0.5)^2 = 49.7549 cases, of which Wilson's interval is 0.205736 to 0.414893.
    """
    found = kappa([ratings(*table([[20, 5], [10, 15]]))])
    assert (found.low, found.high) == pytest.approx((1 - 0.4148934 / 0.5, 1 - 0.2057358 / 0.5), abs=1e-6)
    assert (found.confidence, found.method) == (0.9, "jackknife over 50, Wilson's form")


def test_squared_weights_are_scikit_learn_s():
    metrics = pytest.importorskip("sklearn.metrics")
    draw = random.Random(3)
    first = [draw.randint(1, 5) for _ in range(80)]
    second = [min(5, max(1, one + draw.choice([-1, 0, 0, 1]))) for one in first]
    expected = metrics.cohen_kappa_score(first, second, weights="quadratic")
    assert kappa([ratings(first, second, scale=4.0)]).estimate == pytest.approx(expected)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_krippendorff_s_own_example(level, alpha):
    found = krippendorff_alpha(list(zip(*OBSERVERS, strict=True)), level)
    assert found.estimate == pytest.approx(alpha, abs=0.0006)
    assert found.low < alpha < found.high


@pytest.mark.parametrize(
    ("level", "low", "high"),
    [
        ("nominal", 0.4453294206, 0.9027137905),
        ("ordinal", 0.3971874900, 0.9473660946),
        ("interval", 0.4099552103, 0.9637879940),
    ],
)
def test_the_interval_of_krippendorff_s_worked_example(level, low, high):
    """Reference figures from his matrix of coincidences, each of the eleven units left out once."""
    found = krippendorff_alpha(list(zip(*OBSERVERS, strict=True)), level)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert found.method == "jackknife over 11, Wilson's form"
    assert found.confidence == 0.9
    surer = krippendorff_alpha(list(zip(*OBSERVERS, strict=True)), level, 0.98)
    assert surer.low < low < high < surer.high
    assert surer.confidence == 0.98


def test_nominal_is_the_level_unless_another_is_named():
    units = list(zip(*OBSERVERS, strict=True))
    assert krippendorff_alpha(units) == krippendorff_alpha(units, "nominal")


def test_full_agreement_is_one_but_not_certain():
    found = kappa([ratings([0, 1] * 20, [0, 1] * 20)])
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert 0.8 < found.low < 1.0


def test_a_rater_that_always_says_the_same_agrees_by_chance_only():
    assert kappa([ratings([0, 1, 1, 0, 1, 0], [1] * 6)]).estimate == pytest.approx(0.0)


def test_ratings_that_are_all_alike_have_no_kappa():
    with pytest.raises(ValueError, match=r"^all ratings are equal: agreement beyond chance is not defined$"):
        kappa([ratings([1, 1, 1], [1, 1, 1])])
    with pytest.raises(ValueError, match=r"^all ratings are equal: agreement beyond chance is not defined$"):
        krippendorff_alpha([(1, 1), (1, 1)])
    with pytest.raises(ValueError, match=r"^no item was rated twice$"):
        krippendorff_alpha([(1, None), (None, 2)])


def test_questions_are_pooled_by_their_disagreement():
    """A question on which all is alike adds items without disagreement and changes nothing."""
    one = ratings(*table([[20, 5], [10, 15]]))
    assert kappa([one, ratings([1, 1], [1, 1])]).estimate == pytest.approx(0.4)
    assert kappa([one, one]).estimate == pytest.approx(0.4)


def test_copies_of_one_item_are_no_further_evidence():
    first, second = table([[20, 5], [10, 15]])
    single = kappa([ratings(first, second)])
    copied = Ratings(
        first=tuple(map(float, first * 4)),
        second=tuple(map(float, second * 4)),
        clusters=tuple(range(50)) * 4,
    )
    tripled = kappa([copied])
    assert tripled.high - tripled.low == pytest.approx(single.high - single.low, rel=0.02)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=40))
def test_bounds_hold_the_estimate(pairs):
    first, second = zip(*pairs, strict=True)
    for scale in (None, 4.0):
        try:
            found = kappa([ratings(first, second, scale=scale)])
        except ValueError:
            continue
        assert -1.0 <= found.low <= found.high <= 1.0
        assert found.low - 1e-9 <= max(found.estimate, -1.0) <= found.high + 1e-9


@pytest.mark.simulation
@pytest.mark.parametrize(("n", "right"), [(60, 0.9), (120, 0.8), (120, 0.97)])
def test_intervals_cover(n, right):
    """A 90 % interval holds the true kappa in about 90 % of draws (400 draws: 87 % to 93 % by chance)."""
    draw = random.Random(11)
    truth = 2 * right - 1  # balanced labels, errors alike on both: expected agreement is one half
    held = 0
    for _ in range(400):
        labels = [draw.random() < 0.5 for _ in range(n)]
        judged = [label if draw.random() < right else not label for label in labels]
        found = kappa([ratings(labels, judged)])
        held += found.low <= truth <= found.high
    assert 0.85 <= held / 400 <= 0.97


UNITS = [1e-9, 1e-6, 1e6, 1e9]
GRADES = st.integers(1, 5).map(float)


def found_or_refused(agreement, *given, **named):
    try:
        return agreement(*given, **named)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("unit", UNITS)
@given(st.lists(st.tuples(GRADES, GRADES), min_size=2, max_size=20))
def test_grades_in_any_unit_agree_alike(unit, pairs):
    """Of ratings of millionths all were equal, so their agreement was not defined."""
    first, second = zip(*pairs, strict=True)
    for level in ("nominal", "ordinal", "interval"):
        found = found_or_refused(krippendorff_alpha, pairs, level)
        scaled = found_or_refused(krippendorff_alpha, [(unit * a, unit * b) for a, b in pairs], level)
        _assert_alike(scaled, found)
    for scale in (None, 4.0):
        found = found_or_refused(kappa, [ratings(first, second, scale=scale)])
        in_unit = ratings(
            [unit * one for one in first],
            [unit * one for one in second],
            scale=None if scale is None else unit * scale,
        )
        _assert_alike(found_or_refused(kappa, [in_unit]), found)


def _assert_alike(scaled, found):
    if isinstance(found, str):
        assert scaled == found
    else:
        assert (scaled.low, scaled.estimate, scaled.high, scaled.method) == (
            pytest.approx(found.low, abs=1e-6),
            pytest.approx(found.estimate, abs=1e-9),
            pytest.approx(found.high, abs=1e-6),
            found.method,
        )


def test_a_scale_far_longer_than_the_ratings_hides_no_difference():
    """Of a scale to 1e10 grades of 1 to 5 were all equal."""
    first, second = [1, 2, 3, 4, 5] * 4, [1, 2, 3, 5, 4] * 4
    short, long = (kappa([ratings(first, second, scale=scale)]) for scale in (4.0, 1e10))
    assert long.estimate == pytest.approx(short.estimate)
    assert long.low > 0.5


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_ratings_that_differ_by_rounding_are_equal(unit):
    """A panel's means of the same votes, added in another order."""
    alike = [unit * (0.1 + 0.2 + 0.3), unit * (0.3 + 0.2 + 0.1)]
    with pytest.raises(ValueError, match="all ratings are equal"):
        krippendorff_alpha([alike, alike[::-1], alike], "interval")
    with pytest.raises(ValueError, match="all ratings are equal"):
        kappa([ratings(alike, alike[::-1], scale=unit)])


def test_two_reruns_disagree_as_often_as_was_noted():
    """Of k answers with s passed 2 s (k - s) / (k (k - 1)): 1 of 2 always disagree, 1 of 5 in 8 of 20."""
    noted = [Stability(passed=1, answers=2), Stability(passed=1, answers=5), Stability(passed=3, answers=3)]
    assert flip_rate(noted) == pytest.approx((1 + 8 / 20 + 0) / 3)
    assert flip_rate(noted[:1]) == 1.0
    assert flip_rate([Stability(passed=1, answers=1)]) is None
