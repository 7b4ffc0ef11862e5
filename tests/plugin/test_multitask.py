"""pytest --model= on a multi-task model: golden cases name their task, and ordinary checks read the answers."""

import pytest

GOLDEN = """\
name: desk
generation: {task: intent}
cases:
  - id: room
    prompt: book the room
    references: [book, call, where]
    checks: [{type: equals}]
  - id: names
    prompt: call Anna Berg in Oslo
    generation: {task: names}
    references: ['[{"type": "city", "text": "Oslo"}]']
    checks: [{type: entity-f1, threshold: 0}]
  - id: answer
    prompt: |
      Who lives in Oslo?

      Anna Berg lives in Oslo.
    generation: {task: answer}
    references: [Anna Berg]
    checks: [{type: f1}, {type: length, min: 1}]
"""


def run(pytester, write_golden, model, golden=GOLDEN, *arguments):
    write_golden(pytester, "desk", golden)
    return pytester.runpytest_inprocess("-p", "no:xdist", f"--model={model}", *arguments)


def test_each_case_is_answered_by_the_head_that_it_names(pytester, write_golden, tiny_multitask_dir):
    """No general probes are asked, and there is no base to compare with."""
    result = run(pytester, write_golden, tiny_multitask_dir)
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["tunegate: * no baseline*"])


def test_two_of_them_are_compared_case_by_case(pytester, write_golden, tiny_multitask_dir):
    result = run(pytester, write_golden, tiny_multitask_dir, GOLDEN, f"--gate-baseline={tiny_multitask_dir}")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*desk*"])


def test_a_task_without_a_head_is_bad_input(pytester, write_golden, tiny_multitask_dir):
    golden = GOLDEN.replace("task: names", "task: mood")
    result = run(pytester, write_golden, tiny_multitask_dir, golden)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "desk/names asks for the task 'mood' (allowed under generation.task:" in (
        result.stdout.str() + result.stderr.str()
    )
