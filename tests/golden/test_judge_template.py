"""A wording of one's own is checked when the golden set is read."""

import pytest

from harness.errors import GoldenError
from harness.golden.judge_template import Scale, TemplateFileError, parse_template
from harness.golden.load import load_golden_set

WORDING = "Judge what is in {{mark}}. {{format}}\n---\n{{mark}} {{question}} {{rubric}} {{answer}} {{mark}}\n"
SET = "name: s\ncases:\n  - {id: a, prompt: Q, checks: [{type: llm-rubric, value: R, template: strict.md}]}\n"


def parsed(text, check_type="llm-rubric"):
    return parse_template(text.encode(), "strict", check_type)


def test_its_parts_and_the_form_of_the_reply():
    found = parsed(WORDING)
    assert found.system.endswith(
        'Reply with one JSON object and nothing else: {"reason": "one or two sentences", "pass": true or false}'
    )
    assert found.user == "{{mark}} {{question}} {{rubric}} {{answer}} {{mark}}"
    assert found.scale is None
    assert found.version == f"strict@{found.sha256[:12]}"


def test_a_scale_asks_for_grades():
    found = parsed("scale: 0 to 10, passes from 7\n" + WORDING)
    assert found.scale == Scale(least=0, most=10, passes_from=7)
    assert '"grade": a whole number from 0 to 10' in found.system
    assert found.version != parsed(WORDING).version


def test_it_may_say_the_form_itself():
    text = WORDING.replace("{{format}}", 'Reply {"reason": "", "pass": true}')
    assert parsed(text).system.endswith('Reply {"reason": "", "pass": true}')


@pytest.mark.parametrize(
    ("text", "check_type", "problem"),
    [
        ("no line", "llm-rubric", "no line ---"),
        (WORDING.replace("{{answer}}", ""), "llm-rubric", r"no place {{answer}}"),
        (WORDING.replace("{{mark}}", ""), "llm-rubric", r"no place {{mark}} around the material"),
        (WORDING.replace("{{rubric}}", "{{reference}}"), "llm-rubric", r"{{reference}} that llm-rubric can't fill"),
        (WORDING, "factuality", r"{{rubric}} that factuality can't fill"),
        (WORDING, "pairwise", r"{{answer}} that pairwise can't fill"),
        (WORDING.replace("{{format}}", ""), "llm-rubric", "nothing of the reply's form"),
        ("scale: 1-10\n" + WORDING, "llm-rubric", "found 'scale: 1-10'"),
        ("scale: 5 to 1, passes from 3\n" + WORDING, "llm-rubric", "not every grade has a meaning"),
        ("scale: 0 to 10, passes from 0\n" + WORDING, "llm-rubric", "not every grade has a meaning"),
        ("scale: 0 to 10, passes from 7\n" + WORDING.replace("{{rubric}}", ""), "llm-reference", "a scale of its own"),
        ("Scale : 0 to 10, passes from 7\n" + WORDING, "llm-rubric", "found 'Scale : 0 to 10"),
        (WORDING.replace("{{mark}} {{question}}", "{{question}}"), "llm-rubric", r"{{answer}} outside of the marks"),
        (WORDING.replace("{{answer}} {{mark}}", "{{mark}} {{answer}}"), "llm-rubric", r"{{answer}} outside of the marks"),
        (WORDING + "{{answer}}", "llm-rubric", r"{{answer}} outside of the marks"),
        (WORDING + "{{answer}} {{mark}}q{{mark}}", "llm-rubric", r"{{answer}} outside of the marks"),
        (b"\xff---", "llm-rubric", "not UTF-8"),
    ],
)  # fmt: skip
def test_what_can_t_be_asked_is_refused(text, check_type, problem):
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(TemplateFileError, match=problem):
        parse_template(content, "strict", check_type)


def test_its_hash_is_part_of_the_case(tmp_path):
    (tmp_path / "s.yaml").write_text(SET)
    hashes = []
    for text in (WORDING, WORDING + "again"):
        (tmp_path / "strict.md").write_text(text)
        hashes.append(load_golden_set(tmp_path / "s.yaml").cases[0].content_sha256)
    assert hashes[0] != hashes[1]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("missing.md", "checks.0..template: missing.md can't be read: No such file"),
        ("../strict.md", "checks.0..template: ../strict.md leaves the golden set's directory"),
    ],
)
def test_a_file_that_is_not_there_is_named(tmp_path, path, problem):
    (tmp_path / "s.yaml").write_text(SET.replace("strict.md", path))
    with pytest.raises(GoldenError, match=problem):
        load_golden_set(tmp_path / "s.yaml")
