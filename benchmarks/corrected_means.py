"""How often the interval of a corrected mean of grades misses: for docs/decisions/0011.

    python benchmarks/corrected_means.py [--draws 1000] [--only NAME]

Each shape has people's grades from 1 to 5, a judge that errs in one way, and so many labelled and unlabelled
answers. An interval of 90 % may miss in 5 % on either side (`harness.statistics.prediction_powered`).
"""

import argparse
from collections.abc import Callable

import numpy as np
from gate_errors import print_table
from numpy.typing import NDArray

from harness.statistics.prediction_powered import PartlyLabelledItems, prediction_powered_mean

Grades = NDArray[np.float64]
GRADES = np.arange(1.0, 6.0)
# Chances of the grades 1 to 5.
PEOPLE = {
    "middling": (0.02, 0.14, 0.38, 0.34, 0.12),
    "good": (0.0, 0.0, 0.1, 0.3, 0.6),
    "bad": (0.5, 0.3, 0.2, 0.0, 0.0),
    "even": (0.2, 0.2, 0.2, 0.2, 0.2),
}
SIZES = ((20, 200), (30, 100), (50, 500), (100, 300))


def moved(grades: Grades, by: Grades | float) -> Grades:
    """Grades that stay on the scale."""
    return np.clip(grades + by, 1, 5)


def judges() -> dict[str, Callable[[np.random.Generator, Grades], Grades]]:
    """Judges by what they do wrong."""

    def rare(grade: float, share: float) -> Callable[[np.random.Generator, Grades], Grades]:
        return lambda random, grades: np.where(random.random(grades.size) < share, grade, grades)

    def fives_and_more(random: np.random.Generator, grades: Grades) -> Grades:
        luck = random.random(grades.size)
        return np.where(luck < 0.1, 5.0, np.where(luck < 0.2, moved(grades, 1), grades))

    def either_way(random: np.random.Generator, grades: Grades) -> Grades:
        return moved(grades, random.choice([-1.0, 0.0, 1.0], grades.size, p=[0.15, 0.7, 0.15]))

    return {
        "fives in 5 %": rare(5, 0.05),
        "fives in 10 %": rare(5, 0.1),
        "fives in 20 %": rare(5, 0.2),
        "fives in 10 %, one more in 10 %": fives_and_more,
        "ones in 10 %": rare(1, 0.1),
        "any grade in 10 %": lambda random, grades: np.where(
            random.random(grades.size) < 0.1, random.choice(GRADES, grades.size), grades
        ),
        "one off in 30 %": either_way,
        "one more in 70 %": lambda random, grades: moved(grades, random.random(grades.size) < 0.7),
        "noise of 1.2": lambda random, grades: moved(grades, np.round(random.normal(0, 1.2, grades.size))),
    }


def misses(
    random: np.random.Generator,
    people: str,
    judge: Callable[[np.random.Generator, Grades], Grades],
    sizes: tuple[int, int],
    draws: int,
) -> tuple[float, float, float]:
    """Shares of intervals that end above and below the true mean, and their mean width."""
    labelled, truth = sizes[0], float(np.dot(GRADES, PEOPLE[people]))
    found = []
    for _ in range(draws):
        grades = random.choice(GRADES, sum(sizes), p=PEOPLE[people])
        judged = judge(random, grades)
        items = PartlyLabelledItems(
            labels=tuple(grades[:labelled].tolist()),
            judged=tuple(judged[:labelled].tolist()),
            judged_only=tuple(judged[labelled:].tolist()),
        )
        found.append(prediction_powered_mean(items, least=1.0, most=5.0))
    above, below = ([each.low > truth for each in found], [each.high < truth for each in found])
    return (
        float(np.mean(above)),
        float(np.mean(below)),
        float(np.mean([each.high - each.low for each in found])),
    )


def main() -> None:
    """Print the table: a row for each judge, over all shapes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1000, help="simulated sets a shape")
    parser.add_argument("--only", default="", help="the judges with this in their names")
    chosen = parser.parse_args()
    rows, everything = [], []
    for place, (name, judge) in enumerate(judges().items()):
        if chosen.only not in name:
            continue
        found = [
            misses(np.random.default_rng([place, number, *sizes]), people, judge, sizes, chosen.draws)
            for number, people in enumerate(PEOPLE)
            for sizes in SIZES
        ]
        everything += found
        rows.append([name, *summary(found)])
    rows.append(["all", *summary(everything)])
    header = ["judge", "worst side misses", "shapes over 7 %", "coverage, median", "mean width"]
    print_table(f"Grades of 1 to 5, {chosen.draws} draws of each of {len(everything)} shapes", header, rows)


def summary(found: list[tuple[float, float, float]]) -> list[str]:
    """Of shapes: the worst side, how many are far from 5 %, the median coverage and the mean width."""
    worst = [max(above, below) for above, below, _ in found]
    return [
        f"{max(worst):.1%}",
        f"{sum(each > 0.07 for each in worst)} of {len(found)}",
        f"{np.median([1 - above - below for above, below, _ in found]):.3f}",
        f"{np.mean([width for *_, width in found]):.3f}",
    ]


if __name__ == "__main__":
    main()
