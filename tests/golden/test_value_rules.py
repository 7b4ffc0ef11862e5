"""Rules for a check's value together with its other keys."""

import builtins

import pytest

from harness.golden.hints import did_you_mean, shown
from harness.golden.value_rules import TogetherError, check_together


@pytest.mark.parametrize(
    ("name", "value", "options", "references", "message"),
    [
        ("json-path", None, {"path": "a.b"}, (), "not a JSONPath"),
        ("json-path", None, {"path": "$[?search(@, 'a')]"}, (), "not a JSONPath"),
        ("multiple-choice", "C", {"choices": ["x", "y"]}, (), '"C" is no choice'),
        ("multiple-choice", None, {"choices": ["x", "y"]}, ("x", "z"), '"z" is no choice'),
        ("numeric", "five", {}, (), 'found "five"'),
        ("numeric", "3 or 4", {}, (), "found"),
        ("numeric", True, {}, (), "found true"),
        ("numeric", None, {}, ("5", "some"), 'found "some"'),
        ("numeric", "5 apples", {}, (), "the unit 'apples' is unknown"),
        ("numeric", "1.5", {"decimal": ","}, (), "found"),
    ],
)
def test_what_does_not_fit_is_refused(name, value, options, references, message):
    with pytest.raises(TogetherError, match=message):
        check_together(name, value, options, references)


@pytest.mark.parametrize(
    ("name", "value", "options", "references"),
    [
        ("json-path", None, {"path": "$.a[?@.b > 1]"}, ()),
        ("multiple-choice", "y", {"choices": {"1": "x", "2": "y"}}, ()),
        ("numeric", 5, {}, ()),
        ("numeric", "5 km", {}, ()),
        ("numeric", "$5", {}, ()),
        ("numeric", None, {}, ("5", "5.0 m/s^2")),
        ("contains", "anything", {}, ()),
    ],
)
def test_what_fits_is_taken(name, value, options, references):
    check_together(name, value, options, references)


def test_a_unit_without_its_library_is_refused_with_the_remedy(monkeypatch):
    real = builtins.__import__

    def without_pint(name, *rest, **named):
        if name == "pint":
            raise ImportError(name)
        return real(name, *rest, **named)

    from harness.golden import unit_conversion

    unit_conversion._registry.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without_pint)
    with pytest.raises(TogetherError, match="the unit furlong needs the library pint") as caught:
        check_together("numeric", "5 furlong", {}, ())
    assert "pip install 'tunegate[checks]'" in caught.value.allowed


def test_hints():
    assert did_you_mean("contain", ["contains", "f1"]) == "; did you mean contains?"
    assert did_you_mean("zzz", ["contains"]) == ""
    assert len(shown("x" * 500)) == 60


@pytest.mark.parametrize(
    ("choices", "problem"),
    [
        (["B", "A"], "the choice .B. is A, and B is the letter of another one"),
        (["x", "(a)"], "the choice .(a). is B, and A is the letter of another one"),
        ({"1": "2", "2": "3"}, "the choice .2. is 1, and 2 is the letter"),
        ({"a": "x", "A": "y"}, "two choices have one letter"),
        ({"ß": "x", "b": "y"}, "a choice's letter is SS"),
        (["é", "e\u0301"], "two choices are the same"),
    ],
)
def test_options_of_which_an_answer_can_t_name_one_alone_are_refused(choices, problem):
    with pytest.raises(TogetherError, match=problem.replace("(", "[(]").replace(")", "[)]")) as caught:
        check_together("multiple-choice", None, {"choices": choices}, ())
    assert caught.value.key == ("choices",)


@pytest.mark.parametrize(
    "choices", [["A", "B"], {"B": "B", "A": "A"}, ["a dog", "b"], {"1": "10", "2": "20"}]
)
def test_letters_that_are_their_own_texts_are_fine(choices):
    check_together("multiple-choice", None, {"choices": choices}, ())


def test_a_word_list_of_comments_is_empty():
    with pytest.raises(TogetherError, match="found"):
        check_together("word-list", "# one\n  # two\n", {}, ())
    check_together("word-list", "# one\ntwo", {}, ())
