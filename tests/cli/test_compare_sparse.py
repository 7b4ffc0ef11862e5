"""``tunegate compare`` on logs that lack prompts, answers or texts."""

import json

import pytest

COLUMNS = "id,prompt,text,passed,repeat,error\n"


@pytest.mark.parametrize("columns", ["id,passed", "id,text,passed"])
def test_logs_without_prompts_regress(tunegate, tmp_path, columns):
    """Their id and verdict are all that a log needs: what lost cases have in common is looked for in the rest."""
    text = ",an answer" if "text" in columns else ""
    for name, lost in (("base", 0), ("now", 13)):
        rows = "".join(f"c{n}{text},{int(n >= lost)}\n" for n in range(100))
        (tmp_path / f"{name}.csv").write_text(f"{columns}\n{rows}")
    done = tunegate("compare", tmp_path / "base.csv", tmp_path / "now.csv", "--directory", tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "REGRESS" in done.stdout
    page = tmp_path / "page.html"
    assert tunegate("report", "latest", "--directory", tmp_path, "--output", page).returncode == 0


def written(folder, name, answers):
    """A log of 200 cases with so many answers each, all passed."""
    rows = "".join(f"c{n},q {n},a,1,{k},\n" for n in range(200) for k in range(answers(n)))
    (folder / f"{name}.csv").write_text(COLUMNS + rows)
    return folder / f"{name}.csv"


@pytest.mark.parametrize("reverse", [False, True], ids=["candidate", "baseline"])
def test_single_answers_that_a_log_lacks_may_be_lost(tunegate, tmp_path, reverse):
    """Of 40 of 200 cases two of three answers are gone: left out they were a pass, and with an error none."""
    whole = written(tmp_path, "whole", lambda n: 3)
    short = written(tmp_path, "short", lambda n: 1 if n < 40 else 3)
    sides = (short, whole) if reverse else (whole, short)
    done = tunegate("compare", *sides, "--json", "--no-save")
    found = json.loads(done.stdout)
    assert found["verdict"]["outcome"] == "inconclusive"
    assert found["comparison"]["metrics"][0]["missing"] == 40


def test_a_log_with_one_answer_a_case_lacks_none(tunegate, tmp_path):
    """It was asked for no more; nor do cases lack what both logs have fewer of."""
    sides = written(tmp_path, "three", lambda n: 3), written(tmp_path, "one", lambda n: 1)
    assert (
        json.loads(tunegate("compare", *sides, "--json", "--no-save").stdout)["verdict"]["outcome"] == "pass"
    )
    sides = [written(tmp_path, name, lambda n: 1 + n % 3) for name in ("before", "now")]
    assert (
        json.loads(tunegate("compare", *sides, "--json", "--no-save").stdout)["verdict"]["outcome"] == "pass"
    )


def rows_of(folder, name, columns, rows):
    path = folder / f"{name}.csv"
    path.write_text("\n".join([columns, *rows]) + "\n")
    return path


def outcome_of(tunegate, *sides):
    return json.loads(tunegate("compare", *sides, "--json", "--no-save").stdout)["verdict"]["outcome"]


def test_a_whole_set_that_a_log_lacks_is_no_pass(tunegate, tmp_path):
    """Two hundred cases of code are nowhere in the candidate's log: the other set alone was a pass."""
    rows = [f"{name}{n},{name},1" for name in ("math", "code") for n in range(200)]
    whole = rows_of(tmp_path, "whole", "id,set,passed", rows)
    short = rows_of(tmp_path, "short", "id,set,passed", rows[:200])
    assert outcome_of(tunegate, whole, whole) == "pass"
    assert outcome_of(tunegate, whole, short) == outcome_of(tunegate, short, whole) == "inconclusive"


@pytest.mark.parametrize("reverse", [False, True])
def test_clusters_that_one_log_tells_count(tunegate, tmp_path, reverse):
    """One of ten clusters is lost whole: ten single losses are a regression, one cluster of ten is none."""
    told = rows_of(tmp_path, "told", "id,passed,cluster", [f"c{n},1,{n // 10}" for n in range(100)])
    bare = rows_of(tmp_path, "bare", "id,passed", [f"c{n},{int(n >= 10)}" for n in range(100)])
    if reverse:
        told = rows_of(tmp_path, "told", "id,passed", [f"c{n},1" for n in range(100)])
        rows = [f"c{n},{int(n >= 10)},{n // 10}" for n in range(100)]
        bare = rows_of(tmp_path, "bare", "id,passed,cluster", rows)
    assert outcome_of(tunegate, told, bare) == "inconclusive"


def test_raw_perplexities_of_a_log_have_no_light_tails(tunegate, tmp_path):
    """Twenty equal ones passed under this name, and under any other what none of them shows is allowed for."""
    found = []
    for name in ("perplexity", "ppl"):
        log = rows_of(tmp_path, name, f"id,{name}", [f"c{n},10.0" for n in range(20)])
        done = tunegate(
            "compare", log, log, "--metric", f"{name}:lower,0..,margin=0.5", "--json", "--no-save"
        )
        found.append(json.loads(done.stdout)["verdict"]["outcome"])
    assert found == ["inconclusive", "inconclusive"]
