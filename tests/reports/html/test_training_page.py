"""The page of a training: what was logged, while it runs and after, and in a browser."""

import json
import re
from html import unescape
from pathlib import Path

import pytest

from harness.errors import SettingsError
from harness.types.training import HELD_OUT_ANSWERS_FILE, LOG_FILE, MANIFEST_FILE, SAMPLES_FILE
from reports.html.training_page import render_training, training_page
from reports.training_directory import is_training, read_training

MANIFEST = {
    "method": "sft",
    "base": "smollm2",
    "steps": 40,
    "duration_s": 75.0,
    "device": "cpu",
    "compute_dtype": "float32",
    "data": {"rows": 400},
    "early_stop": {"best_step": 20},
    "losses": [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}],
}
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\x1b[31m" + "W" * 300


def log(step: int, **further) -> dict:
    usual = {"loss": 2 / step, "grad_norm": 1.0, "learning_rate": 1e-4, "num_tokens": step * 100.0}
    return {**usual, "step": step, "time_s": step * 2.0, "memory_gb": 3.5, **further}


@pytest.fixture
def output(tmp_path) -> Path:
    """A finished training of 40 steps, with held-out losses at every tenth."""
    entries = []
    for step in range(1, 41):
        entries.append(log(step))
        if step % 10 == 0:
            entries.append({"eval_loss": 1.0 + abs(step - 20) / 100, "step": step, "time_s": step * 2.0 + 1})
    made, work = tmp_path / "orders", tmp_path / "orders.work"
    write(made / LOG_FILE, entries)
    write(work / LOG_FILE, entries)
    (made / MANIFEST_FILE).write_text(json.dumps(MANIFEST))
    return made


def write(path: Path, lines: list[dict]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def work(output: Path) -> Path:
    return output.with_name("orders.work")


def charts(output: Path) -> dict[str, list[str]]:
    page = training_page(read_training(output))
    return {chart.title: [line.name for line in chart.lines] for chart in page.charts}


def test_what_is_drawn(output):
    assert charts(output) == {
        "Loss": ["training", "held out"],
        "Learning rate": ["rate"],
        "Gradient norm": ["norm"],
        "Speed": ["speed"],
        "Memory": ["most so far"],
    }


def test_speed_is_of_the_tokens_between_two_logs(output):
    page = training_page(read_training(output))
    speed = next(chart for chart in page.charts if chart.title == "Speed")
    assert speed.lines[0].last == pytest.approx(50.0)


def test_the_kept_step_is_marked(output):
    page = training_page(read_training(output))
    assert "step 20" in page.kept
    assert all(chart.mark is not None for chart in page.charts)


def test_whatever_else_was_logged_is_drawn_too(output):
    write(output / LOG_FILE, [log(1, **{"clip_ratio/low": 0.1}), log(2, **{"clip_ratio/low": 0.2})])
    write(work(output) / LOG_FILE, [log(1, **{"clip_ratio/low": 0.1}), log(2, **{"clip_ratio/low": 0.2})])
    page = training_page(read_training(output))
    assert [chart.title for chart in page.more] == ["clip_ratio/low"]


def test_a_training_that_runs_has_a_page(tmp_path):
    """Its output is not there yet, and its last line is being written."""
    output = tmp_path / "orders"
    write(work(output) / LOG_FILE, [log(1), log(2)])
    with (work(output) / LOG_FILE).open("a") as file:
        file.write('{"loss": 0.1, "st')
    assert is_training(output)
    page = training_page(read_training(output))
    assert page.state == "running or interrupted: step 2 is the last one logged"
    assert page.facts == ()
    assert "Loss" in charts(output)


def test_a_training_that_is_repeated_is_shown_not_the_one_before(output):
    write(work(output) / LOG_FILE, [log(1), log(2), log(3)])
    page = training_page(read_training(output))
    assert page.state == "running or interrupted: step 3 is the last one logged"


def test_a_manifest_alone_has_its_losses(output):
    (output / LOG_FILE).unlink()
    (work(output) / LOG_FILE).unlink()
    assert charts(output) == {"Loss": ["training"]}


def test_a_loss_that_is_no_number_is_said_at_the_top(output):
    entries = [log(step, loss=None if step > 2 else 1.0) for step in range(1, 5)]
    for place in (output, work(output)):
        write(place / LOG_FILE, entries)
    facts = {fact.name: fact.value.text for fact in training_page(read_training(output)).numbers}
    assert facts["loss"] == "1.000 → not finite"
    assert (
        "2 values that are not finite or too large to draw are left out, the first at step 3."
        in render_training(read_training(output))
    )


def test_a_loss_that_is_too_large_to_draw_is_a_number(output):
    for place in (output, work(output)):
        write(place / LOG_FILE, [log(1, loss=1.0), log(2, loss=3e20)])
    facts = {fact.name: fact.value.text for fact in training_page(read_training(output)).numbers}
    assert facts["loss"] == "1.000 → 3e+20"


def test_a_single_step_is_drawn(output):
    for place in (output, work(output)):
        write(place / LOG_FILE, [log(1)])
    assert "Loss" in charts(output)
    facts = {fact.name: fact.value.text for fact in training_page(read_training(output)).numbers}
    assert facts["loss"] == "2.000"


def test_samples_with_rewards_show_the_best_and_the_worst_of_some_steps(output):
    write(
        work(output) / SAMPLES_FILE,
        [
            {"step": step, "prompt": "p", "answer": f"a{reward}", "reward": reward}
            for step in range(1, 31)
            for reward in (0.2, 0.9, 0.5)
        ],
    )
    page = training_page(read_training(output))
    assert sorted({sample.step for sample in page.samples}) == [1, 7, 13, 18, 24, 30]
    assert [(sample.answer, sample.note) for sample in page.samples[:2]] == [
        ("a0.9", "best of 3: reward 0.900"),
        ("a0.2", "worst of 3: reward 0.200"),
    ]


def test_held_out_answers_stand_beside_the_expected_ones(output):
    write(
        work(output) / HELD_OUT_ANSWERS_FILE,
        [{"step": step, "prompt": "p", "answer": f"a{step}", "reference": "r"} for step in (10, 20)],
    )
    page = training_page(read_training(output))
    assert [(each.step, each.answer, each.note) for each in page.samples] == [
        (10, "a10", "expected: r"),
        (20, "a20", "expected: r"),
    ]


def test_a_damaged_manifest_is_one_line(output):
    (output / MANIFEST_FILE).write_text("{")
    with pytest.raises(SettingsError, match=r"training_manifest\.json: can't be read"):
        read_training(output)


def test_the_page_loads_nothing_and_runs_nothing(output):
    write(
        work(output) / SAMPLES_FILE,
        [{"step": 1, "prompt": HOSTILE, "answer": HOSTILE, "reward": 1.0}],
    )
    html = render_training(read_training(output))
    assert re.findall(r"<script|<img|https?://(?!www\.w3\.org)", html) == []
    assert "script-src 'none'" in unescape(html)
    assert "\u202e" not in html
    assert "\x1b" not in html


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_is_read_on_any_screen(browser, output, tmp_path, width, scheme):
    """No fault in the console, nothing wider than the screen, no finding of axe."""
    from axe_playwright_python.sync_playwright import Axe

    write(work(output) / SAMPLES_FILE, [{"step": 1, "prompt": HOSTILE, "answer": HOSTILE, "reward": 1.0}])
    path = tmp_path / "training.html"
    path.write_text(render_training(read_training(output)), encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    assert page.locator(".chart svg[role=img]").count() == 5
    box = page.locator(".chart path.line-1").first.bounding_box()
    assert box["width"] > 100
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert Axe().run(page).response["violations"] == []
    assert said == []
    context.close()
