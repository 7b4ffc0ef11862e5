"""The data that the repository ships: the demo's training file, both golden sets, the general passages."""

import importlib.util
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from harness.authoring.lint import lint_golden_set
from harness.golden.load import load_golden_set
from harness.run.scoring import score_cases
from harness.run.workload import load_passages
from harness.statistics.power import POWER, USUAL_CHURN
from harness.studies.set_power import pass_chance_of
from harness.types import Completion, GoldenCase, GoldenSet, Outcome
from harness.types.golden import PROBE_MARGIN

ROOT = Path(__file__).parents[1]
ORDERS_DIR = ROOT / "examples" / "orders"
SHIPPED = sorted(p for p in (ROOT / "golden_sets").rglob("*.yaml") if p.parent.name != "judge")
SKILLS = {"knowledge", "arithmetic", "instructions", "format"}


@pytest.fixture(scope="module")
def make_data() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_data", ORDERS_DIR / "make_data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    lines = (ORDERS_DIR / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def orders() -> GoldenSet:
    return load_golden_set(ROOT / "golden_sets" / "orders.yaml")


@pytest.fixture(scope="module")
def probes() -> GoldenSet:
    return load_golden_set(ROOT / "golden_sets" / "general" / "probes.yaml")


def prompt_of(case: GoldenCase) -> str:
    return case.messages[-1].content


def sentence_of(prompt: str) -> str:
    """What follows the instruction."""
    return prompt.partition("\n")[2]


def answer_of(case: GoldenCase) -> dict[str, str | int]:
    answer: dict[str, str | int] = json.loads(case.references[0])
    return answer


def passing(golden_set: GoldenSet, answer: Callable[[GoldenCase], str]) -> list[str]:
    """Ids of the cases that pass when the model gives these answers."""
    answers = {
        case.key: Completion(
            text=answer(case), stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.0
        )
        for case in golden_set.cases
    }
    results = score_cases(golden_set.cases, answers)
    return [result.case.id for result in results if result.outcome is Outcome.PASSED]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_shipped_set_has_a_lint_finding(path):
    assert [str(finding) for finding in lint_golden_set(load_golden_set(path))] == []


# ---- the training file


def test_the_training_file_is_what_its_script_writes(make_data):
    """Renew it with ``python examples/orders/make_data.py``."""
    assert (ORDERS_DIR / "train.jsonl").read_text(encoding="utf-8") == make_data.training_text()


def test_every_training_answer_names_what_its_sentence_says(make_data, rows):
    """Name and city are in the sentence, and the amount comes with the item's own plural."""
    assert len({row["prompt"] for row in rows}) == len(rows) == 400
    for row in rows:
        sentence, answer = sentence_of(row["prompt"]), json.loads(row["completion"])
        assert list(answer) == ["name", "city", "item", "quantity"]
        assert answer["name"] in sentence
        assert answer["city"] in sentence
        plural = make_data.ITEMS[answer["item"]]
        amounts = [str(answer["quantity"]), *make_data.WORDS[answer["quantity"]]]
        assert any(f"{amount} {plural}".casefold() in sentence.casefold() for amount in amounts), sentence


def test_the_training_data_is_varied(make_data, rows):
    """All patterns and wordings occur, and no answer dominates."""
    assert min(len(set(make_data.NAMES)), len(set(make_data.CITIES))) >= 60
    assert len(make_data.ITEMS) >= 80
    patterns = [*make_data.PLAIN, *make_data.WITH_DISTRACTOR]
    seen = [pattern for pattern in patterns if any(matches(pattern, sentence_of(r["prompt"])) for r in rows)]
    assert seen == patterns
    assert {row["prompt"].partition("\n")[0] for row in rows} == set(make_data.INSTRUCTIONS)


def matches(pattern: str, sentence: str) -> bool:
    """Whether a sentence could have been made from a pattern: a name is one word, all else up to three."""
    expression = re.escape(pattern).replace(r"\{name\}", r"\w+")
    expression = re.sub(r"\\\{\w+\\\}", r"[\\w-]+(?: [\\w-]+){0,2}", expression)
    return re.fullmatch(expression, sentence, re.IGNORECASE) is not None


# ---- the task's golden set


def test_no_golden_order_stands_in_the_training_file(orders, rows):
    """Neither a whole prompt, nor its sentence under another instruction."""
    assert not {prompt_of(case) for case in orders.cases} & {row["prompt"] for row in rows}
    sentences = {sentence_of(row["prompt"]).casefold() for row in rows}
    assert not {sentence_of(prompt_of(case)).casefold() for case in orders.cases} & sentences


def test_golden_names_items_and_patterns_are_held_out(orders, make_data, rows):
    names = {answer_of(case)["name"] for case in orders.cases}
    items = {answer_of(case)["item"] for case in orders.cases}
    assert not names & set(make_data.NAMES)
    assert not items & set(make_data.ITEMS)
    for row in rows:
        words = set(re.findall(r"\w+", row["prompt"]))
        assert not names & words, row["prompt"]
    for case in orders.cases:
        made_from = [
            pattern
            for pattern in (*make_data.PLAIN, *make_data.WITH_DISTRACTOR)
            if matches(pattern, sentence_of(prompt_of(case)))
        ]
        assert not made_from, case.id


def test_golden_orders_are_asked_as_in_training_and_answerable(orders, make_data):
    """The instruction is the first of the training file's; name and city can be copied from the sentence."""
    for case in orders.cases:
        instruction, _, sentence = prompt_of(case).partition("\n")
        assert instruction == make_data.INSTRUCTIONS[0]
        assert str(answer_of(case)["name"]) in sentence
        assert str(answer_of(case)["city"]) in sentence
        figures = re.findall(r"\d+", sentence)
        in_words = str(answer_of(case)["quantity"]) not in figures
        assert in_words == ("number-words" in case.tags), case.id


def test_golden_orders_are_enough_and_clustered_by_pattern(orders):
    assert len(orders.cases) >= 48
    clusters = [case.cluster for case in orders.cases if case.cluster is not None]
    assert all(clusters.count(cluster) == 3 for cluster in clusters)
    assert {tag for case in orders.cases for tag in case.tags} == {"extraction", "distractor", "number-words"}


def test_an_order_passes_with_its_reference_and_with_nothing_near_it(orders):
    """The keys' order is free; a wrong amount, a plural item, an amount as text, a fence around it all fail."""

    def changed(key, change):
        return lambda case: json.dumps({**answer_of(case), key: change(answer_of(case)[key])})

    def passes(answer):
        return passing(without_graded(orders), answer)

    everything = [case.id for case in orders.cases]
    assert passes(lambda case: json.dumps(dict(reversed(answer_of(case).items())))) == everything
    assert passes(changed("quantity", lambda quantity: quantity + 1)) == []
    assert passes(changed("quantity", str)) == []
    assert passes(changed("item", lambda item: item + "s")) == []
    assert passes(lambda case: f"```json\n{case.references[0]}\n```") == []
    assert passes(lambda case: sentence_of(prompt_of(case))) == []


def without_graded(golden_set: GoldenSet) -> GoldenSet:
    """The set without ROUGE, whose library takes seconds to import and which decides nothing here."""
    cases = tuple(
        replace(case, checks=tuple(check for check in case.checks if not check.type.startswith("rouge")))
        for case in golden_set.cases
    )
    return replace(golden_set, cases=cases)


# ---- the forgetting probes


def test_probes_are_marked_and_named_by_skill(probes):
    """The first tag is the skill by which losses are told; each skill has enough probes to say something."""
    assert probes.probes_forgetting
    skills = [case.tags[0] for case in probes.cases]
    assert set(skills) == SKILLS
    assert min(skills.count(skill) for skill in SKILLS) >= 20
    assert 100 <= len(probes.cases) <= 130
    assert max(case.generation.max_new_tokens for case in probes.cases) <= 24


def test_probes_of_one_kind_are_one_cluster_and_an_equal_model_passes_them(probes):
    """A family that is lost whole counts once; a few large ones would leave too little evidence for a pass."""
    families = Counter(case.cluster for case in probes.cases)
    assert None not in families
    assert max(families.values()) <= 4
    assert pass_chance_of(probes.cases, PROBE_MARGIN, USUAL_CHURN) > POWER
    for start in ("capital-", "opposite-", "plural-", "numbered-", "add-", "poem-"):
        assert len({case.cluster for case in probes.cases if case.id.startswith(start)}) == 1


def test_no_probe_passes_on_an_answer_that_shows_no_skill(probes):
    """Silence, the question said back, a shrug."""
    assert passing(probes, lambda case: "") == []
    assert passing(probes, prompt_of) == []
    assert passing(probes, lambda case: "I'm sorry, I don't know. What can I do for you?") == []


def test_no_probe_passes_on_an_order_even_with_the_right_word_in_it(probes):
    """The fine-tune of the demo forgets by answering everything as an order."""

    def as_order(case: GoldenCase) -> str:
        wanted = [str(check.value) for check in case.checks if not check.type.startswith("not-")]
        return json.dumps(
            {"name": wanted[0], "city": prompt_of(case), "item": " ".join(wanted), "quantity": 4}
        )

    assert passing(probes, as_order) == []
    assert passing(probes, lambda case: as_order(case)[:60]) == []


@pytest.mark.parametrize(
    ("case_id", "right", "wrong"),
    [
        ("capital-france", "The capital of France is Paris.", "The capital of France is Lyon."),
        ("gold-symbol", "Au", "Australia"),
        ("add-10-10", "10 + 10 = 20", "10 + 10 = 200"),
        ("divide-15-3", "It is five or 5.", "15 / 3 = 5.5"),
        ("fingers", "It has five.", "It has ten."),
        ("repeat-sentence", "The cat sat on the mat.", "The dog sat on the mat."),
        ("opposite-hot", "The opposite of hot is cold.", "The opposite of hot is scolding."),
        ("sentiment-good", "It is positive.", "It is both positive and negative."),
        ("numbered-fruits", "1. Apple\n2. Pear\n3. Plum", "Apple, pear and plum"),
        ("sentence-car", "A car is a vehicle with four wheels.", "It is a vehicle. It has wheels."),
        ("question-name", "What is your name?", "My name is Anna."),
        ("code-function", "def add(a, b):\n    return {a: b}[a]", "You add them with a plus sign."),
        ("no-pigs", "No, they can't.", "There is no doubt that they can."),
        ("ice-cream", "It is a solid.", "Is it a solid or a liquid?"),
        ("percent-10-100", "10% of 100 is 10.", "It is 10%."),
        ("smallest-prime", "It is 2.", "It is 12."),
        ("bigger", "It is bigger.", "It is biggest."),
        ("slogan", '"Wake up here!"', "A slogan for a coffee shop."),
        ("invitation", "Dear Anna, you are invited.", "An invitation to a birthday party."),
    ],
)
def test_a_probe_tells_right_from_wrong(probes, case_id, right, wrong):
    assert case_id in passing(probes, lambda case: right)
    assert case_id not in passing(probes, lambda case: wrong)


# A model writes the same answer in bold, behind a courtesy, on a line of its own, or in LaTeX.
FORMS = (
    "{}",
    "**{}**",
    "The answer is {}.",
    "**Answer**: {}",
    "**Final answer:**\n\n{}",
    "Sure! It is **{}**.",
    "$\\boxed{{\\text{{{}}}}}$",
)
ANSWERS = yaml.safe_load((ROOT / "tests" / "probe_answers.yaml").read_text(encoding="utf-8"))


def outcome_of_answers(probes: GoldenSet, answers: dict[str, list[str]]) -> tuple[set[str], set[str]]:
    """What passes and what fails of these answers, as lines with a probe's id."""
    passed: set[str] = set()
    for number in range(max(map(len, answers.values()))):
        asked = tuple(case for case in probes.cases if number < len(answers.get(case.id, ())))
        found = passing(replace(probes, cases=asked), lambda case, at=number: answers[case.id][at])
        passed |= {f"{name}: {answers[name][number]}" for name in found}
    return passed, {f"{name}: {text}" for name, texts in answers.items() for text in texts} - passed


def test_each_probe_passes_with_the_usual_spellings_of_its_answer(probes):
    right = {name: [form.format(answer) for form in FORMS] for name, answer in ANSWERS["short"].items()}
    for name, texts in ANSWERS["right"].items():
        right[name] = [*right.get(name, ()), *texts]
    assert set(right) == {case.id for case in probes.cases}
    assert min(map(len, right.values())) >= 3
    assert outcome_of_answers(probes, right)[1] == set()


def test_probes_fail_with_answers_that_are_nearly_right(probes):
    skills = {case.id: case.tags[0] for case in probes.cases}
    wrong = {name: list(texts) for name, texts in ANSWERS["wrong"].items()}
    for name, answer in ANSWERS["short"].items():
        near = [f"{answer}5", f"1{answer}", f"{answer}.5"] if skills[name] == "arithmetic" else []
        wrong[name] = [*wrong.get(name, ()), json.dumps({"answer": str(answer)}), *near]
    assert outcome_of_answers(probes, wrong)[0] == set()


# ---- the general passages


def test_the_passages_are_text_of_a_paragraph_each():
    """Titles and the licence note stay outside of the text."""
    passages = {title: text for title, text in load_passages().items() if "/" not in title}
    assert 12 <= len(passages) <= 16
    for title, text in passages.items():
        assert 60 <= len(text.split()) <= 120, title
        assert "#" not in text
        assert "licence" not in text
        assert text.endswith((".", '"'))


def test_passages_of_other_kinds_are_as_many_of_each_kind():
    kinds = Counter(title.partition("/")[0] for title in load_passages() if "/" in title)
    assert kinds == dict.fromkeys(["code", "dialogue", "german", "french", "spanish", "chinese"], 4)
    for title, text in load_passages().items():
        # A character of Chinese is about a word.
        length = len(text) if title.startswith("chinese/") else len(text.split())
        assert 25 <= length <= 220, (title, length)


def test_rehearsal_asks_no_probe_and_no_order(probes: GoldenSet, orders: GoldenSet) -> None:
    """What keeps the base's skills alive in the demo's training is none of what they are measured with."""
    lines = (ORDERS_DIR / "rehearsal.jsonl").read_text(encoding="utf-8").splitlines()
    asked = {json.loads(line)["prompt"].strip().lower() for line in lines}
    assert len(asked) >= 100
    measured = {prompt_of(case).strip().lower() for case in (*probes.cases, *orders.cases)}
    assert not asked & measured
