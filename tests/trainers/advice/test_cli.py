"""``tunegate advise``: it asks for what is missing, and says what fits into memory."""

import pytest
from typer.testing import CliRunner

from harness.errors import ModelError, SettingsError
from trainers.advice.cli import advice, app, fitted, trained_weights
from trainers.advice.situation import Situation


@pytest.mark.parametrize(("goal", "data"), [("fun", "none"), ("style", "tears")])
def test_unknown_words_are_refused_with_what_is_allowed(goal, data):
    with pytest.raises(SettingsError, match=r"--(goal|data): found '(fun|tears)' \(allowed: "):
        advice(Situation(goal=goal, data=data))


def test_what_fits_is_said_with_its_batch():
    assert fitted(("sft",), "8B", 24) == [
        line for line in fitted(("sft",), "8B", 24) if line.startswith("memory    ") and "of 24" in line
    ]
    assert "batches of 8 " in fitted(("sft",), "8B", 24)[0]


def test_a_smaller_batch_is_advised_where_memory_is_short():
    (line,) = fitted(("orpo",), "8B", 16)
    assert "set batch_size: " in line
    assert "gradient_accumulation: " in line


def test_what_does_not_fit_is_said_with_a_remedy():
    (line,) = fitted(("dpo",), "70B", 24)
    assert "too much; take a smaller base" in line


def run(*arguments, typed=""):
    return CliRunner().invoke(app, list(arguments), input=typed)


def test_options_alone_give_the_advice():
    done = run("--goal", "preferences", "--data", "pairs", "--rows", "400", "--memory", "24", "--model", "8B")
    assert done.exit_code == 0, done.output
    for words in ("(DPO)", "why  ", "mind  ", "GiB of 24", "tunegate train dpo --init > dpo.yaml", "(ORPO)"):
        assert words in done.output


def test_what_is_missing_is_asked_for_again_until_it_can_be_used():
    done = run(typed="fame\nskill\nreward\nmany\n300\n\n\n")
    assert done.exit_code == 0, done.output
    assert "--goal: found 'fame'" in done.output
    assert "--rows: found 'many'" in done.output
    assert "(GRPO)" in done.output
    assert "GiB of 24" in done.output


def test_what_else_may_be_trained_is_named_with_what_fits():
    """Full tuning, prefixes and adapters of other kinds, for the trainers that take them."""
    done = run("--goal", "style", "--data", "examples", "--rows", "400", "--memory", "24", "--model", "8B")
    for words in (
        "(few-shot)",
        "weights   quantization: nf4",
        "{method: full}",
        "prefix",
        "vera",
        ": too much.",
    ):
        assert words in done.output
    assert "47.7 GiB of 24 for one example at a time: too much" in trained_weights(("sft",), "8B", 24)[2]
    assert len(trained_weights(("rlhf",), "8B", 24)) == 2
    assert trained_weights(("sft",), "135M", 24)[2].endswith("for one example at a time.")


@pytest.mark.parametrize("goal", ["images", "DreamBooth", "textual-inversion"])
def test_image_methods_are_named_as_not_covered(goal):
    assert "are not covered: tunegate trains and gates language models" in str(run("--goal", goal).exception)


def test_nothing_is_asked_of_memory_where_nothing_is_trained():
    done = run("--goal", "style", "--data", "none")
    assert done.exit_code == 0, done.output
    assert "Prompting" in done.output
    assert "GiB" not in done.output
    assert "tunegate golden new" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--goal", "fame"), "--goal: found 'fame' (allowed: facts, "),
        (("--goal", "style", "--data", "x"), "--data: found 'x' (allowed: none, "),
        (("--goal", "style", "--data", "pairs", "--rows", "-1"), "--rows: found '-1'"),
        (
            ("--goal", "style", "--data", "pairs", "--rows", "500", "--model", "8B", "--memory", "0"),
            "--memory: found '0'",
        ),
        (("--goal", "style", "--data", "pairs"), "--rows is missing, and standard input has ended"),
    ],
)
def test_wrong_or_missing_options_are_one_line(arguments, message):
    assert message in str(run(*arguments).exception)


def test_a_model_that_is_not_there_is_refused():
    done = run("--goal", "style", "--data", "pairs", "--rows", "500", "--model", "none-such", "--memory", "8")
    assert isinstance(done.exception, ModelError)
