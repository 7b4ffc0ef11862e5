"""--gate-device=split gates a base that has no room on one device, with the same record as on one."""

import json

import pytest

CASES = "".join(
    f"  - {{id: c{place}, prompt: {prompt}, references: [w1 w2], checks: [{{type: perplexity}}, {{type: regex, value: .}}]}}\n"
    for place, prompt in enumerate(["what is one", "the cat sat on the mat w1 w2 w3", "two"])
)


@pytest.fixture
def project(pytester, write_golden):
    write_golden(pytester, "one", f"name: one\ngeneration: {{max_new_tokens: 8}}\ncases:\n{CASES}")
    return pytester


def gate(project, model, *options):
    record = project.path / "record.json"
    given = ("--gate-no-forgetting", "--gate-no-cache", f"--gate-json={record}", *options)
    result = project.runpytest_inprocess("-p", "no:xdist", f"--model={model}", *given)
    return result, json.loads(record.read_text()) if record.exists() else {}


def test_texts_and_perplexities_are_those_of_one_device(project, tiny_adapter_dir):
    with pytest.warns(RuntimeWarning, match="--gate-device split: 0.000.* GB of the weights have no room"):
        result, split = gate(project, tiny_adapter_dir, "--gate-device=split:cpu=230KB", "--gate-workers=2")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["tunegate: *, float32 on cpu:split:cpu=230KB*"])
    result.stdout.fnmatch_lines(["tunegate: without effect: --gate-workers (one process answers, *"])
    _, whole = gate(project, tiny_adapter_dir, "--gate-device=cpu")
    for side in ("run", "baseline"):
        texts = [[each["completion"]["text"] for each in facts[side]["results"]] for facts in (split, whole)]
        assert texts[0] == texts[1]
    values = [
        [score["value"] for each in facts["run"]["results"] for score in each["scores"]]
        for facts in (split, whole)
    ]
    assert values[0] == pytest.approx(values[1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--gate-device=split:gpu"], "*--gate-device split:gpu: found 'gpu' (allowed: *"),
        (
            ["--gate-device=split", "--gate-engine=ray"],
            "*--gate-device split: * which Ray can't do*",
        ),
    ],
)
def test_what_it_does_not_go_with_is_refused(project, tiny_adapter_dir, options, said):
    result, _ = gate(project, tiny_adapter_dir, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])


def test_a_multi_task_model_is_not_split(pytester, write_golden, tiny_multitask_dir):
    case = "{id: a, prompt: one, checks: [{type: regex, value: .}]}"
    write_golden(pytester, "one", f"name: one\ncases:\n  - {case}\n")
    result, _ = gate(pytester, tiny_multitask_dir, "--gate-device=split", "--gate-baseline=none")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--gate-device split: * which a multi-task model can't do*"])
