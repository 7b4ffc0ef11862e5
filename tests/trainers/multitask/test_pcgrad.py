"""PCGrad against its definition (Yu et al. 2020, algorithm 1), on gradients made by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.multitask.pcgrad import conflicts, project_conflicts, random_orders

TWO = [[1], [0]]


def rows(*vectors, dtype=torch.float64):
    return torch.tensor(vectors, dtype=dtype)


def test_two_conflicting_gradients_are_projected_onto_each_others_normal_plane():
    """g1 = (1, 0), g2 = (-1, 1): g1 - (-1/2) g2 = (1/2, 1/2); g2 - (-1/1) g1 = (0, 1). Exact in binary."""
    found = project_conflicts(rows([1, 0], [-1, 1]), TWO)
    assert found.tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert found.sum(dim=0).tolist() == [0.5, 1.5]


def test_what_is_left_is_orthogonal_to_what_it_conflicted_with():
    gradients = rows([4, 0, 0, 0], [-2, 2, 2, 2])
    found = project_conflicts(gradients, TWO)
    assert found.tolist() == [[3.0, 1.0, 1.0, 1.0], [0.0, 2.0, 2.0, 2.0]]
    assert float(found[0] @ gradients[1]) == 0.0
    assert float(found[1] @ gradients[0]) == 0.0


def test_opposite_gradients_cancel_and_nothing_is_left():
    assert project_conflicts(rows([2, -4], [-1, 2]), TWO).tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("second", [[2.0, 1.0], [0.0, 3.0], [0.0, 0.0]])
def test_gradients_that_do_not_conflict_stay_bit_by_bit(second):
    """A right angle is no conflict, nor is a gradient of length 0."""
    gradients = rows([0.1, 0.0], second)
    assert torch.equal(project_conflicts(gradients, TWO), gradients)


def test_later_projections_see_the_gradient_as_the_earlier_left_it_and_the_others_as_they_came():
    """Three tasks, by hand: g1 = (1,0,0), g2 = (-1,1,0), g3 = (0,-1,1).

    g1 against g2: (1/2, 1/2, 0), which now conflicts with g3 by -1/2: + 1/4 g3 = (1/2, 1/4, 1/4).
    In the other order g1 and g3 don't conflict: (1/2, 1/2, 0).
    g2 against g3 (-1): + 1/2 g3 = (-1, 1/2, 1/2), then against g1 (-1): + g1 = (0, 1/2, 1/2).
    g3 against g1: none; against g2 (-1): + 1/2 g2 = (-1/2, -1/2, 1).
    """
    gradients = rows([1, 0, 0], [-1, 1, 0], [0, -1, 1])
    found = project_conflicts(gradients, [[1, 2], [2, 0], [0, 1]])
    assert found.tolist() == [[0.5, 0.25, 0.25], [0.0, 0.5, 0.5], [-0.5, -0.5, 1.0]]
    assert project_conflicts(gradients, [[2, 1], [2, 0], [0, 1]])[0].tolist() == [0.5, 0.5, 0.0]
    assert gradients.tolist() == [[1, 0, 0], [-1, 1, 0], [0, -1, 1]]


def test_conflicts_are_counted_by_pair():
    assert conflicts(rows([1, 0, 0], [-1, 1, 0], [0, -1, 1])) == [(0, 1), (1, 2)]
    assert conflicts(rows([1, 0], [0, 1])) == []


vectors = st.lists(st.lists(st.integers(-8, 8), min_size=4, max_size=4), min_size=2, max_size=4)


def reference(gradients, orders):
    """Algorithm 1 word by word, in plain Python."""
    projected = [list(gradient) for gradient in gradients]
    for i, order in enumerate(orders):
        for j in order:
            product = sum(a * b for a, b in zip(projected[i], gradients[j], strict=True))
            if product < 0:
                length = sum(b * b for b in gradients[j])
                projected[i] = [
                    a - product / length * b for a, b in zip(projected[i], gradients[j], strict=True)
                ]
    return projected


@given(vectors, st.integers(0, 99))
def test_it_is_the_algorithm(gradients, seed):
    orders = random_orders(len(gradients), str(seed))
    found = project_conflicts(rows(*gradients), orders)
    assert torch.allclose(found, rows(*reference(gradients, orders)), atol=1e-9)


@given(vectors)
def test_two_tasks_never_work_against_each_other_afterwards(gradients):
    pair = rows(*gradients[:2])
    found = project_conflicts(pair, TWO)
    assert float(found[0] @ pair[1]) >= -1e-9
    assert float(found[1] @ pair[0]) >= -1e-9


def test_orders_are_drawn_anew_and_leave_out_oneself():
    orders = random_orders(4, "0:1")
    assert [sorted(order) for order in orders] == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    assert random_orders(4, "0:1") == orders
    firsts = {random_orders(4, f"0:{step}")[0][0] for step in range(30)}
    assert firsts == {1, 2, 3}
