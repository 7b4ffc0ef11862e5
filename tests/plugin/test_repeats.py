"""``repeat: n`` from the golden set to the verdict."""

import pytest

SETTINGS = "generation: {temperature: 0.7}\n"


@pytest.fixture(name="repeated")
def _repeated(project, write_golden):
    """The ten capitals, each asked five times on both sides."""
    text = (project.pytester.path / "golden_sets/capitals.yaml").read_text()
    text = text.replace("cases:\n", SETTINGS + "defaults: {repeat: 5}\ncases:\n", 1)
    write_golden(project.pytester, "capitals", text)
    return project


def test_each_case_is_asked_so_often_with_seeds_of_their_own(repeated):
    repeated.run()
    assert sorted(question for question in repeated.asked if ":peru" in question) == [
        *("baseline:peru", "baseline:peru#2", "baseline:peru#3", "baseline:peru#4", "baseline:peru#5"),
        *("candidate:peru", "candidate:peru#2", "candidate:peru#3", "candidate:peru#4", "candidate:peru#5"),
    ]


def test_a_case_that_regressed_fails_the_run(repeated):
    """Ten cases could never show that the mean fell by 0.05; five answers to one of them show that it regressed."""
    repeated.wrong["candidate"] = {"peru", "peru#2", "peru#3", "peru#4", "peru#5"}
    result = repeated.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    output = " ".join(result.stdout.str().split())
    assert "REGRESS" in output
    assert "capitals: 1 of 10 cases regressed, each beyond chance: peru 5/5 → 0/5" in output


def test_one_bad_answer_of_five_is_told_and_decides_nothing(repeated):
    repeated.wrong["candidate"] = {"peru#3"}
    result = repeated.run()
    assert result.ret == pytest.ExitCode.OK
    assert "1.00 → 0.98 +0.02" in " ".join(result.stdout.str().split())
    repeated.pytester.path.joinpath(".tunegate/cache.sqlite").unlink()
    alone = repeated.run("--gate-baseline=none")
    assert alone.ret == pytest.ExitCode.TESTS_FAILED
    alone.stdout.fnmatch_lines(["repeats: 4 of 5 answers passed; shown is one that did not"])


def test_repeats_of_greedy_decoding_stop_before_a_model_loads(repeated, write_golden):
    text = (repeated.pytester.path / "golden_sets/capitals.yaml").read_text()
    write_golden(repeated.pytester, "capitals", text.replace(SETTINGS, ""))
    result = repeated.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*at temperature 0 all 5 answers are the same*"])
    assert repeated.asked == []
