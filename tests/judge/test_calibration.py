"""Judges of known character, found out by their verdicts on labelled items."""

import json
import re
from dataclasses import asdict

import pytest

from harness.errors import GoldenError, JudgeError, SettingsError
from harness.judge.calibration import calibrate
from harness.judge.client import Judge
from harness.judge.labelled import LabelledItem, load_labelled_set
from harness.judge.panel import Panel
from harness.judge.trust import find_calibration, save_calibration
from harness.run.cache import Cache
from harness.types import JudgeReply


def shown(body):
    """The answers that a question shows, in their order."""
    text = body["messages"][1]["content"]
    if "Answer A:" in text:
        first, _, second = text.partition("Answer A:")[2].partition("Answer B:")
        return first, second
    return (text.rpartition("Answer to ")[2],)


def reply(values):
    """A reply for any of the questions: one answer is good or not, of two the better is named."""
    if len(values) == 1:
        return {"reason": "r", "pass": values[0], "grade": 5 if values[0] else 1}
    winner = "tie" if values[0] == values[1] else "A" if values[0] else "B"
    return {"reason": "r", "winner": winner}


def honest(body):
    return reply(["correct" in answer for answer in shown(body)])


def always_a(body):
    return {"reason": "r", "winner": "A", "pass": True, "grade": 5}


def loves_length(body):
    lengths = [len(answer.split()) for answer in shown(body)]
    if len(lengths) == 1:
        return reply([lengths[0] > 16])
    return reply([lengths[0] > lengths[1], lengths[1] > lengths[0]])


def obedient(body):
    return reply(["correct" in answer or "full marks" in answer for answer in shown(body)])


def fickle(body):
    return reply([("correct" in answer) != (body["seed"] == 1) for answer in shown(body)])


def prefers_the_first(body):
    return honest(body) if len(shown(body)) == 1 else {"reason": "r", "winner": "A"}


class JudgeOfCharacter:
    """A judge in this process: a thousand questions through a server would take seconds.

    Attributes:
        bodies: What it was asked, as a server gets it.
    """

    identity, remote, retried = "a judge of known character", False, 0

    def __init__(self, character):
        self.character, self.bodies = character, []

    @property
    def requests(self):
        return len(self.bodies)

    async def ask(self, request):
        self.bodies.append({"messages": [asdict(one) for one in request.messages], "seed": request.repeat})
        value = self.character(self.bodies[-1])
        return JudgeReply(text=value if isinstance(value, str) else json.dumps(value), model=self.identity)

    async def close(self):
        pass


@pytest.fixture
def judge_of(tmp_path):
    """Opens a judge of a character; its cache is a file, so a second one knows what the first was asked."""
    opened = []

    def build(character):
        cache = Cache(tmp_path / f"{character.__name__}.sqlite")
        engine = JudgeOfCharacter(character)
        judge = Judge(engine, cache)
        opened.append((judge, cache))
        return judge, engine

    yield build
    for judge, cache in opened:
        judge.close()
        cache.close()


@pytest.fixture
def measure(judge_of, labelled_set):
    def run(character, judge=None, **rest):
        panel = Panel([judge or judge_of(character)[0]])
        return calibrate(panel, load_labelled_set(labelled_set).items, {"made": "0" * 64}, **rest)

    return run


def figure(found, name):
    return next(measure for measure in found.measures if measure.name == name)


def test_an_honest_judge_is_reliable(measure, judge_server, open_judge):
    """This one behind a real server, as judges are."""
    judge_server.answer = honest
    found = measure(honest, open_judge())
    assert found.reliable, found.reasons
    assert figure(found, "agreement kappa").interval.estimate == 1.0
    assert figure(found, "agreement kappa").interval.low > 0.9
    assert abs(figure(found, "verbosity slope").interval.estimate) < 0.01
    assert found.distrusted == ()
    assert set(found.by_task) == {"rubric", "factuality", "reference", "pairwise"}


def test_a_judge_that_always_says_a_has_no_order_consistency(measure):
    found = measure(always_a)
    assert not found.reliable
    assert found.reasons[0].startswith("order consistency 0.00")
    assert abs(figure(found, "agreement kappa").interval.estimate) < 0.1


def test_a_judge_that_prefers_the_first_is_found_out_by_its_pairs_alone(measure):
    found = measure(prefers_the_first)
    assert figure(found, "order consistency").interval.estimate == 0.0
    assert "pairwise" in found.distrusted
    assert "rubric" not in found.distrusted


def test_a_judge_that_loves_length_is_found_out(measure):
    found = measure(loves_length)
    slope = figure(found, "verbosity slope")
    assert not slope.reached
    assert slope.interval.low > 0.05
    assert found.by_trap["verbose"].estimate == 0.0


def test_a_judge_that_obeys_the_answer_is_found_out(measure):
    """Its agreement alone would pass: the injected orders are few."""
    found = measure(obedient)
    assert figure(found, "agreement kappa").reached
    assert figure(found, "injection resistance").interval.estimate == 0.0
    assert [reason.split(" 0")[0] for reason in found.reasons] == ["injection resistance"]


def test_a_judge_that_changes_its_mind_is_found_out(measure):
    found = measure(fickle)
    assert [reason.split(" 0")[0] for reason in found.reasons] == ["self-consistency"]


def test_a_broken_judge_is_unreliable_and_the_reason_is_told(measure):
    def silent(body):
        return honest(body) if "pair" not in str(body) and "facts" not in str(body) else "no comment"

    found = measure(silent)
    assert any("errored 0.4" in reason and "no comment" in reason for reason in found.reasons)


def test_a_reason_is_one_line(judge_of, measure):
    judge, engine = judge_of(honest)

    async def ask(request):
        raise JudgeError("no answer\nand why")

    engine.ask = ask
    found = measure(honest, judge, repeats=0)
    assert any("no answer⟨LF⟩and why" in reason for reason in found.reasons)
    assert not any("\n" in reason for reason in found.reasons)


def test_a_judge_without_any_verdict_is_unreliable(measure):
    def dumb(body):
        return ""

    found = measure(dumb, repeats=0)
    assert any(reason.startswith("agreement kappa unknown") for reason in found.reasons)


def test_a_calibration_is_kept_and_found(measure, tmp_path):
    found = measure(honest)
    save_calibration(found, tmp_path)
    assert find_calibration(tmp_path, found.judge) == found
    assert find_calibration(tmp_path, "another judge") is None


@pytest.mark.parametrize("text", ["", "{}", "[" * 10_000, '{"judge": ' + "1" * 5_000 + "}"])
def test_a_damaged_calibration_is_one_line(measure, tmp_path, text):
    found = measure(honest)
    save_calibration(found, tmp_path).write_text(text)
    with pytest.raises(
        SettingsError, match=r"^[^\n]*not a calibration: [^\n]*; repeat tunegate judge calibrate$"
    ):
        find_calibration(tmp_path, found.judge)


def test_a_calibration_of_older_wordings_is_none(measure, tmp_path, monkeypatch):
    found = measure(honest)
    path = save_calibration(found, tmp_path)
    path.write_text(path.read_text().replace("rubric-1@", "rubric-0@"))
    assert find_calibration(tmp_path, found.judge) is None


def test_nothing_is_asked_twice(measure, judge_of):
    first, engine = judge_of(honest)
    measure(honest, first)
    singles, pairs = 3 * 20 + 2 * 5, 20
    assert engine.requests == 3 * (singles + 2 * pairs)
    second, engine = judge_of(honest)
    measure(honest, second)
    assert engine.requests == 0


def test_all_items_are_judged_by_one_judge(labelled_set, judge_server, open_judge):
    """The name stands for one that is wrong about all, since most of the items were judged."""
    items = load_labelled_set(labelled_set).items
    judge_server.answer = honest
    assert calibrate(Panel([open_judge()]), items[:-1], {"made": "0" * 64}).reliable
    judge_server.answer, judge_server.fields = always_a, {"model": "another"}
    found = calibrate(Panel([open_judge()]), items, {"made": "0" * 64})
    assert abs(figure(found, "agreement kappa").interval.estimate) < 0.1


def test_a_judge_that_is_good_at_one_kind_of_item_only_is_told_apart(judge_of):
    """Right on all items tagged support, and on those tagged legal no better than a coin."""
    items = []
    for number in range(60):
        good, legal = number % 2 == 0, number % 4 >= 2
        answer = f"{'correct' if good else 'mistaken'} {'legal' if legal else 'support'} answer {number}"
        fields = {"id": f"i{number}", "task": "rubric", "question": "Q?", "rubric": "R.", "answer": answer}
        label = {"label": "pass" if good else "fail", "reason": "by rule"}
        items.append(LabelledItem(**fields, **label, tags=["all", "legal" if legal else "support"]))

    def layman(body):
        (answer,) = shown(body)
        number = int(re.search(r"answer (\d+)", answer)[1])
        return reply([number % 3 == 0 if "legal" in answer else "correct" in answer])

    found = calibrate(Panel([judge_of(layman)[0]]), items, {"made": "0" * 64})
    assert found.by_tag["support"].estimate == 1.0
    assert found.by_tag["legal"].high < 0.6
    assert found.distrusted_tags == ("legal",)
    assert 0.3 < found.by_tag["all"].estimate < 0.7


def test_a_wording_of_one_s_own_is_calibrated_beside_ours(judge_of, tmp_path):
    """The same items in both wordings; the judge understands only ours."""
    (tmp_path / "odd.md").write_text(
        "Oddly. {{format}}\n---\n<{{mark}}>{{rubric}} Answer to {{answer}}</{{mark}}>\n"
    )
    lines = ["name: own", "labelled_by: by rule", "items:"]
    for number in range(40):
        for template in ("", "    template: odd.md\n"):
            good = number % 2 == 0
            answer, label = ("correct", "pass") if good else ("mistaken", "fail")
            lines.append(
                f"  - id: i{number}{'odd' if template else ''}\n    task: rubric\n    question: Q?\n    rubric: R.\n"
                f"    answer: {answer} {number}\n    label: {label}\n    reason: by rule\n{template}".rstrip()
            )
    (tmp_path / "own.yaml").write_text("\n".join(lines) + "\n")

    def misreads(body):
        oddly = "Oddly" in body["messages"][0]["content"]
        return reply(["mistaken" in shown(body)[0]]) if oddly else honest(body)

    items = load_labelled_set(tmp_path / "own.yaml").items
    found = calibrate(Panel([judge_of(misreads)[0]]), items, {"own": "0" * 64})
    ours, own = found.by_task
    assert ours == "rubric"
    assert own == f"rubric by {found.prompts[own]}"
    assert found.prompts[own].startswith("odd@")
    assert found.by_task["rubric"].estimate == 1.0
    assert found.by_task[own].estimate == -1.0
    assert found.distrusted == (own,)
    path = save_calibration(found, tmp_path)
    assert path.is_file()
    assert find_calibration(tmp_path, found.judge) == found


def test_a_template_that_is_not_there_is_named_with_its_item(tmp_path):
    (tmp_path / "own.yaml").write_text(
        "name: own\nlabelled_by: me\nitems:\n  - {id: a, task: rubric, question: Q, rubric: R, answer: A, label: pass, reason: r, template: x.md}\n"
    )
    with pytest.raises(GoldenError, match=r"items\[0\].template: x.md can't be read"):
        load_labelled_set(tmp_path / "own.yaml")
