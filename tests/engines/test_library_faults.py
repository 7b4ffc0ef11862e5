"""Whatever is raised becomes one line; a row that fails alone is found, and the others are answered."""

import pytest
import torch

from harness.engines.decode import refuse_no_number
from harness.engines.library_faults import Batches, answer_or_split, loading_failures
from harness.errors import AdapterError, CasesFailedError, EngineError, ModelError, first_line

KEYS = [f"s/{place}" for place in range(8)]


def answers(bad, error=IndexError, most=8):
    """Answers rows, unless one of them is bad or they are too many."""

    def answer(rows):
        if len(rows) > most or bad & set(rows):
            raise error("index out of range\nin self")
        return {row: f"answer {row}" for row in rows}

    return answer


def run(batches, answer):
    found = {}
    answer_or_split(Batches(rows=batches, keys=KEYS, compute=answer), found.update)
    return found


def test_a_bad_row_costs_no_other_row_its_answer():
    found, rows = {}, [[0, 1, 2, 3], [4, 5, 6, 7]]
    batches = Batches(rows=rows, keys=KEYS, compute=answers({5}))
    with pytest.raises(
        CasesFailedError, match=r"^s/5: the model failed on it: IndexError: index out of range$"
    ) as caught:
        answer_or_split(batches, found.update)
    assert set(found) == {0, 1, 2, 3, 4, 6, 7}
    assert set(caught.value.failures) == {5}


def test_several_bad_rows_are_counted():
    with pytest.raises(CasesFailedError, match=r"^s/\d: .* \(and 1 more\)$") as caught:
        run([[0, 1, 2, 3]], answers({0, 3}))
    assert set(caught.value.failures) == {0, 3}


def test_a_batch_that_is_too_large_is_halved():
    assert set(run([list(range(8))], answers(set(), MemoryError, most=2))) == set(range(8))


def test_a_model_that_fails_on_everything_ends_the_run():
    with pytest.raises(EngineError, match=r"^s/0: the model failed") as caught:
        run([[0, 1], [2]], answers({0, 1, 2}))
    assert not isinstance(caught.value, CasesFailedError)


@pytest.mark.parametrize(
    "said",
    [
        "CUDA out of memory. Tried to allocate 2 GiB",
        "DefaultCPUAllocator: can't allocate memory: you tried to",
    ],
)
def test_memory_that_never_suffices_is_for_the_user_to_change(said):
    with pytest.raises(ModelError, match="--gate-dtype needs less"):
        run([[0]], answers({0}, lambda _: RuntimeError(said)))


def test_numbers_that_always_leave_the_range_are_for_the_user_to_change():
    """In float16, or by an adapter's scale; the test prompts may not show it."""

    def no_number(_):
        with pytest.raises(ArithmeticError) as caught:
            refuse_no_number(torch.tensor(float("nan")))
        return caught.value

    with pytest.raises(ModelError, match="its logits are NaN"):
        run([[0, 1]], answers({0, 1}, no_number))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (
            RuntimeError("Error(s) in loading:\n\tsize mismatch for a"),
            "RuntimeError: Error(s) in loading: size mismatch for a",
        ),
        (KeyError(), "KeyError"),
        (OSError("x" * 1000), "OSError: " + "x" * 299 + "…"),
    ],
)
def test_an_error_in_one_line(error, line):
    assert first_line(error) == line


def test_what_a_library_raises_names_the_model():
    with (
        pytest.raises(AdapterError, match=r"^mine can't be run: KeyError: 'q'; is it whole"),
        loading_failures("mine", AdapterError, verb="run"),
    ):
        raise KeyError("q")
    with pytest.raises(ModelError, match=r"^mine: memory ran out"), loading_failures("mine", AdapterError):
        raise MemoryError
    with pytest.raises(EngineError, match=r"^ours$"), loading_failures("mine", AdapterError):
        raise EngineError("ours")
