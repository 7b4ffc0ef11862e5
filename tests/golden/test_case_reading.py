"""Included files, examples and time limits of cases."""

import pickle
from dataclasses import replace

import pytest

from harness.authoring.lint import lint_golden_set
from harness.errors import GoldenError
from harness.golden.load import golden_files, load_golden_set
from harness.run.scoring import score_cases
from harness.types import Completion, GoldenCase, Message, Outcome

PART = "cases:\n  - {id: hello, prompt: 'Greet {{who}}', vars: {who: Ann}, checks: [{type: contains, value: Ann}]}\n"
OWN = "cases:\n  - {id: bye, prompt: Say bye, checks: [{type: icontains, value: bye}]}\n"


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_an_included_file_adds_its_cases_with_the_sets_defaults(tmp_path):
    part = write(tmp_path, "parts/_greetings.yaml", PART)
    (tmp_path / "parts" / "note.txt").write_text("n")
    text = f"name: x\ninclude: [parts/_greetings.yaml]\ndefaults: {{system: Be short., tags: [t]}}\n{OWN}"
    golden_set = load_golden_set(write(tmp_path, "set.yaml", text))
    hello, bye = golden_set.cases
    assert [case.key for case in golden_set.cases] == ["x/hello", "x/bye"]
    assert [message.content for message in hello.messages] == ["Be short.", "Greet Ann"]
    assert (hello.tags, hello.file, hello.line) == (("t",), str(part), 2)
    assert (bye.file, bye.line) == ("", 5)
    alone = load_golden_set(write(tmp_path, "alone.yaml", "name: x\ninclude: [parts/_greetings.yaml]\n"))
    assert [case.id for case in alone.cases] == ["hello"]


def test_a_changed_part_changes_the_sets_hash(tmp_path):
    write(tmp_path, "_part.yaml", PART)
    path = write(tmp_path, "set.yaml", f"name: x\ninclude: [_part.yaml]\n{OWN}")
    before = load_golden_set(path).content_sha256
    assert load_golden_set(path).content_sha256 == before
    write(tmp_path, "_part.yaml", PART.replace("Ann", "Eve"))
    assert load_golden_set(path).content_sha256 != before


def test_a_part_is_no_set_of_its_own(tmp_path):
    write(tmp_path, "_part.yaml", PART)
    own = write(tmp_path, "set.yaml", f"name: x\n{OWN}")
    assert golden_files([tmp_path]) == [own]


def test_files_of_a_part_are_beside_it(tmp_path):
    write(tmp_path, "parts/note.txt", "Hello\n")
    write(tmp_path, "parts/_a.yaml", "cases: [{id: a, prompt: 'file://note.txt', checks: [{type: is-json}]}]")
    golden_set = load_golden_set(write(tmp_path, "set.yaml", "name: x\ninclude: [parts/_a.yaml]\n"))
    assert golden_set.cases[0].messages[0].content == "Hello"


def test_lint_names_the_part(tmp_path):
    part = write(tmp_path, "_a.yaml", "cases:\n  - {id: a, prompt: What?, checks: [{type: length, max: 9}]}")
    golden_set = load_golden_set(write(tmp_path, "set.yaml", "name: x\ninclude: [_a.yaml]\n"))
    assert str(lint_golden_set(golden_set)[0]).startswith(f"{part}:2: error: a: ")


@pytest.mark.parametrize(
    ("include", "part", "message"),
    [
        ("[part.yaml]", PART, r"set.yaml:2: include\[0\]: found part.yaml .*begins with _"),
        ("[_part.txt]", PART, r"include\[0\]: found _part.txt"),
        ("[../_part.yaml]", PART, "leaves the golden set's directory"),
        ("[_missing.yaml]", PART, r"set.yaml:2: include\[0\]: there is no file _missing.yaml"),
        ("[_part.yaml]", "- a", "_part.yaml:1: found a list"),
        ("[_part.yaml]", "name: q\n" + PART, r"_part.yaml:1: name: unknown key \(allowed: cases, description\)"),
        ("[_part.yaml]", PART.replace("{{who}}", "{{x}}"), r"_part.yaml:2: cases\[0\].prompt: hello: {{x}} has no value"),
        ("[_part.yaml, _part.yaml]", PART, r"set.yaml:2: include\[1\]: _part.yaml is included twice"),
        ("[_part.yaml]", PART.replace("hello", "bye"), r"set.yaml:4: cases\[0\].id: 'bye' is taken by .*_part.yaml:2"),
    ],
)  # fmt: skip
def test_a_faulty_include_is_named(tmp_path, include, part, message):
    write(tmp_path, "sets/_part.yaml", part)
    write(tmp_path, "_part.yaml", part)
    path = write(tmp_path, "sets/set.yaml", f"name: x\ninclude: {include}\n{OWN}")
    with pytest.raises(GoldenError, match=message):
        load_golden_set(path)


EXAMPLES = "[{user: 2+2?, assistant: '4'}, {user: '{{q}}', assistant: '{{a}}'}]"
CASE = "{id: a, prompt: 1+1?, vars: {q: 3+3?, a: 6}, checks: [{type: is-json}]%s}"


def roles(case):
    return [f"{message.role[0]} {message.content}" for message in case.messages]


def test_examples_are_messages_before_the_prompt(tmp_path):
    text = f"name: x\ndefaults: {{system: Add., examples: {EXAMPLES}}}\ncases:\n  - {CASE % ''}\n  - "
    own = (CASE % ", examples: [{user: u, assistant: v}]").replace("id: a", "id: b")
    none = (CASE % ", examples: []").replace("id: a", "id: c")
    cases = load_golden_set(write(tmp_path, "set.yaml", f"{text}{own}\n  - {none}\n")).cases
    assert [roles(case) for case in cases] == [
        ["s Add.", "u 2+2?", "a 4", "u 3+3?", "a 6", "u 1+1?"],
        ["s Add.", "u u", "a v", "u 1+1?"],
        ["s Add.", "u 1+1?"],
    ]


def test_examples_come_after_the_system_message_of_a_conversation(tmp_path):
    turns = "[{role: system, content: S}, {role: user, content: U}]"
    text = f"name: x\ncases:\n  - {{id: a, messages: {turns}, examples: [{{user: u, assistant: v}}], checks: [{{type: is-json}}]}}\n"
    (case,) = load_golden_set(write(tmp_path, "set.yaml", text)).cases
    assert roles(case) == ["s S", "u u", "a v", "u U"]


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ("[{user: u}]", r"examples\[0\].assistant: the key is missing"),
        ("[{user: u, assistant: ''}]", r"examples\[0\].assistant: found"),
        ("[{user: '{{no}}', assistant: v}]", r"examples\[0\].user: a: {{no}} has no value"),
        ("[{user: u, assistant: v, role: w}]", r"examples\[0\].role: unknown key"),
    ],
)
def test_a_faulty_example_is_named(tmp_path, examples, message):
    path = write(tmp_path, "set.yaml", f"name: x\ncases:\n  - {CASE % f', examples: {examples}'}\n")
    with pytest.raises(GoldenError, match=message):
        load_golden_set(path)


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(1.9, Outcome.PASSED), (2.0, Outcome.PASSED), (2.1, Outcome.ERRORED)]
)
def test_an_answer_that_took_too_long_is_an_error(tmp_path, seconds, outcome):
    text = "name: x\ncases: [{id: a, prompt: p, timeout: 2, checks: [{type: contains, value: a}]}]"
    (case,) = load_golden_set(write(tmp_path, "set.yaml", text)).cases
    answer = Completion(text="a", stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=seconds)
    (result,) = score_cases([case], {case.key: answer})
    assert result.outcome is outcome
    if outcome is Outcome.ERRORED:
        assert result.errors[0].error == "the answer took 2.1 s; the case's timeout is 2 s"
        assert result.completion is not None


def test_a_set_without_cases_is_refused(tmp_path):
    with pytest.raises(GoldenError, match="no cases: write them under cases, or include a file"):
        load_golden_set(write(tmp_path, "set.yaml", "name: x\n"))


def test_a_single_turn_is_refused_with_the_number_that_is_needed(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("name: x\ncases:\n  - {id: a, turns: [{user: u, checks: [{type: is-json}]}]}\n")
    with pytest.raises(GoldenError, match="allowed: at least 2"):
        load_golden_set(path)


def test_a_changed_copy_of_a_case_has_its_own_hash():
    """The hash is remembered by the case, and by no copy."""
    case = GoldenCase(id="a", set_name="s", messages=(Message(role="user", content="x"),))
    before = case.content_sha256
    assert case.content_sha256 == before
    assert replace(case, references=("y",)).content_sha256 != before
    assert replace(case).content_sha256 == pickle.loads(pickle.dumps(case)).content_sha256 == before
    assert case == replace(case)
