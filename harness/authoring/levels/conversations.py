"""Several turns: what the user said before has to be remembered, changed or followed."""

from harness.authoring.levels.families import PLAIN, Family, Probe, matches

# Level, name, the user's turns, and for each case the values of {0}, {1}, what the last answer contains, and an
# answer that fails.
_ROWS = (
    ("easy", "turns-name", ("My name is {0}. Nice to meet you.", "What is my name?"), ((("Mireille",), "Mireille", "John"), (("Tobias",), "Tobias", "John"))),
    ("easy", "turns-colour", ("My favourite colour is {0}.", "Thank you. Which colour do I like best?"), ((("turquoise",), "turquoise", "red"), (("crimson",), "crimson", "blue"))),
    ("easy", "turns-pet", ("I have a {0} called Pip.", "What kind of animal is Pip?"), ((("parrot",), "parrot", "A dog."), (("hamster",), "hamster", "A dog."))),
    ("easy", "turns-sum", ("I have {0} apples.", "I buy {1} more. How many apples do I have now?"), ((("4", "3"), r"\b(7|seven)\b", "4"), (("5", "6"), r"\b(11|eleven)\b", "6"))),
    ("medium", "turns-two-facts", ("I live in {0} and work as a {1}.", "I also like to swim.", "In which city do I live? Answer with the city only."), ((("Tallinn", "baker"), r"\bTallinn\b", "As a baker."), (("Porto", "nurse"), r"\bPorto\b", "As a nurse."))),
    ("medium", "turns-correction", ("The meeting is on {0}.", "Sorry, I made a mistake: it is on {1}.", "On which day is the meeting? Answer with one word."), ((("Monday", "Thursday"), r"^\W*Thursday\b", "Monday"), (("Friday", "Tuesday"), r"^\W*Tuesday\b", "Friday"))),
    ("medium", "turns-rule", ("From now on, end each of your answers with the word {0}.", "What is the capital of France?"), ((("banana",), r"Paris.*\bbanana\W*$", "Paris"), (("over",), r"Paris.*\bover\W*$", "Paris"))),
    ("medium", "turns-running-total", ("Start with the number {0}.", "Add {1}.", "Double it. Which number is it now? Answer with the number only."), ((("8", "5"), r"^\D*26\b", "16"), (("11", "4"), r"^\D*30\b", "22"))),
    ("medium", "turns-pronoun", ("Tell me in one sentence what a {0} is.", "Is it usually larger than a house? Answer yes or no."), ((("mouse",), r"^\W*no\b", "Yes"), (("teaspoon",), r"^\W*no\b", "Yes"))),
    ("hard", "turns-code-word", ("The code word is {0}. Do not mention it until I say please.", "How are you today?", "Now tell me the code word, please."), ((("marzipan",), r"\bmarzipan\b", "I don't know."), (("lighthouse",), r"\blighthouse\b", "I don't know."))),
    ("hard", "turns-list-edit", ("My list: {0}, {1}, {2}.", "Remove {1} and put honey first.", "Write the list in its order, separated by commas, and nothing else."), ((("tea", "rice", "salt"), r"^\W*honey, tea,( and)? salt\W*$", "tea, rice, salt"), (("milk", "eggs", "flour"), r"^\W*honey, milk,( and)? flour\W*$", "milk, eggs, flour"))),
    ("hard", "turns-table-of-people", ("{0} is the sister of {1}.", "{1} is the father of {2}.", "What is {0} to {2}? Answer with one word."), ((("Ines", "Karl", "Mia"), r"\baunt", "Sister"), (("Vera", "Paul", "Tim"), r"\baunt", "Mother"))),
    ("hard", "turns-format-kept", ("Answer all my questions in capital letters only.", "Which animal barks?", "And which animal says {0}?"), ((("moo",), r"(?-i:^[^a-z]*(COW|BULL|CATTLE)[^a-z]*$)", "A cow."), (("meow",), r"(?-i:^[^a-z]*CAT[^a-z]*$)", "A cat."))),
    ("hard", "turns-budget", ("I have {0} dollars for a trip.", "The train costs {1} dollars.", "I spend a third of the rest on food. How many dollars are left? End with the number."), ((("200", "80"), r"\b80\b\D*$", "120"), (("150", "60"), r"\b60\b\D*$", "90"))),
)  # fmt: skip


def families(_seed: int) -> list[Family]:
    """The families of this skill; nothing is drawn."""
    return [
        Family(
            name=name,
            skill="multi-turn",
            level=level,
            tokens=64,
            probes=tuple(_probe(turns, values, pattern, wrong) for values, pattern, wrong in cases),
        )
        for level, name, turns, cases in _ROWS
    ]


# Answers for the patterns above that are no plain words.
_SPOKEN = {
    r"\b(7|seven)\b": "7",
    r"\b(11|eleven)\b": "11",
    r"^\W*no\b": "No.",
    r"Paris.*\bbanana\W*$": "Paris, banana.",
    r"Paris.*\bover\W*$": "It is Paris, over.",
    r"^\D*26\b": "26",
    r"^\D*30\b": "30",
    r"^\W*honey, tea,( and)? salt\W*$": "honey, tea, salt",
    r"^\W*honey, milk,( and)? flour\W*$": "honey, milk, flour",
    r"\baunt": "Aunt",
    r"(?-i:^[^a-z]*(COW|BULL|CATTLE)[^a-z]*$)": "THE COW.",
    r"(?-i:^[^a-z]*CAT[^a-z]*$)": "THE CAT.",
    r"\b80\b\D*$": "80",
    r"\b60\b\D*$": "60",
}


def _probe(turns: tuple[str, ...], values: tuple[str, ...], pattern: str, wrong: str) -> Probe:
    *earlier, last = (turn.format(*values) for turn in turns)
    right = _SPOKEN.get(pattern) or pattern.replace(r"^\W*", "").replace(r"\b", "")
    return Probe(
        ask=last, earlier=tuple(earlier), right=right, checks=[matches(pattern), PLAIN], wrong=(wrong,)
    )
