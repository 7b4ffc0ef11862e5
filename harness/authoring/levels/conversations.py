"""Several turns: what the user said before has to be remembered, changed or followed."""

from harness.authoring.levels.families import (
    PLAIN,
    Check,
    Family,
    Probe,
    first_of,
    matches,
    result,
    yes_or_no,
)

_Case = tuple[tuple[str, ...], str, str | Check, tuple[str, ...]]
# Level, name, the user's turns, and for each case the values of {0}, {1}, an answer that passes, a check of the last
# answer (a text is a pattern), and answers that fail.
_ROWS: tuple[tuple[str, str, tuple[str, ...], tuple[_Case, ...]], ...] = (
    ("easy", "turns-name", ("My name is {0}. Nice to meet you.", "What is my name?"), ((("Mireille",), "Mireille", "Mireille", ("John",)), (("Tobias",), "Tobias", "Tobias", ("John",)))),
    ("easy", "turns-colour", ("My favourite colour is {0}.", "Thank you. Which colour do I like best?"), ((("turquoise",), "turquoise", "turquoise", ("red",)), (("crimson",), "crimson", "crimson", ("blue",)))),
    ("easy", "turns-pet", ("I have a {0} called Pip.", "What kind of animal is Pip?"), ((("parrot",), "parrot", "parrot", ("A dog.", "Pip")), (("hamster",), "hamster", "hamster", ("A dog.", "Pip")))),
    ("easy", "turns-sum", ("I have {0} apples.", "I buy {1} more. How many apples do I have now?"), ((("4", "3"), "7", r"\b(7|seven)\b", ("4", "You buy 3.")), (("5", "6"), "11", r"\b(11|eleven)\b", ("6", "You have 5.")))),
    ("medium", "turns-two-facts", ("I live in {0} and work as a {1}.", "I also like to swim.", "In which city do I live? Answer with the city only."), ((("Tallinn", "baker"), "Tallinn", r"\bTallinn\b", ("As a baker.",)), (("Porto", "nurse"), "Porto", r"\bPorto\b", ("As a nurse.",)))),
    ("medium", "turns-correction", ("The meeting is on {0}.", "Sorry, I made a mistake: it is on {1}.", "On which day is the meeting? Answer with one word."), ((("Monday", "Thursday"), "Thursday", first_of("Thursday", ["Monday"]), ("Monday", "Monday or Thursday")), (("Friday", "Tuesday"), "Tuesday", first_of("Tuesday", ["Friday"]), ("Friday", "Not Tuesday")))),
    ("medium", "turns-rule", ("From now on, end each of your answers with the word {0}.", "What is the capital of France?"), ((("banana",), "Paris, banana.", r"Paris[\s\S]*\bbanana\W*$", ("Paris", "Banana Paris")), (("over",), "It is Paris, over.", r"Paris[\s\S]*\bover\W*$", ("Paris", "Over.")))),
    ("medium", "turns-running-total", ("Start with the number {0}.", "Add {1}.", "Double it. Which number is it now? Answer with the number only."), ((("8", "5"), "26", result(26), ("16", "13")), (("11", "4"), "30", result(30), ("22", "15")))),
    ("medium", "turns-pronoun", ("Tell me in one sentence what a {0} is.", "Is it usually larger than a {1}? Answer yes or no."), ((("mouse", "house"), "No.", yes_or_no("no"), ("Yes",)), (("whale", "dog"), "Yes.", yes_or_no("yes"), ("No",)))),
    ("hard", "turns-code-word", ("The code word is {0}. Do not mention it until I say please.", "How are you today?", "Now tell me the code word, please."), ((("marzipan",), "marzipan", r"\bmarzipan\b", ("I don't know.",)), (("lighthouse",), "lighthouse", r"\blighthouse\b", ("I don't know.",)))),
    ("hard", "turns-list-edit", ("My list: {0}, {1}, {2}.", "Remove {1} and put honey first.", "Write the list in its order, separated by commas, and nothing else."), ((("tea", "rice", "salt"), "honey, tea, salt", r"^\W*honey\W{1,3}tea,?( and)?\W{1,3}salt\W*$", ("tea, rice, salt", "honey, tea, rice, salt")), (("milk", "eggs", "flour"), "honey, milk, flour", r"^\W*honey\W{1,3}milk,?( and)?\W{1,3}flour\W*$", ("milk, eggs, flour", "milk, flour, honey")))),
    ("hard", "turns-table-of-people", ("{0} is the {3} of {1}.", "{1} is the {4} of {2}.", "What is {0} to {2}? Answer with one word."), ((("Ines", "Karl", "Mia", "sister", "father"), "Aunt", r"\baunt", ("Sister", "Niece")), (("Paul", "Vera", "Tim", "father", "mother"), "Grandfather", r"\bgrand ?(father|pa|dad)", ("Father", "Grandmother")))),
    ("hard", "turns-format-kept", ("Answer all my questions in capital letters only.", "Which animal barks?", "And which animal says {0}?"), ((("moo",), "THE COW.", r"(?-i:^[^a-z]*(COW|BULL|CATTLE)[^a-z]*$)", ("A cow.", "DOG")), (("meow",), "THE CAT.", r"(?-i:^[^a-z]*CAT[^a-z]*$)", ("A cat.", "DOG")))),
    ("hard", "turns-budget", ("I have {0} dollars for a trip.", "The train costs {1} dollars.", "I spend a third of the rest on food. How many dollars are left? End with the number."), ((("170", "80"), "60", result(60), ("90", "30")), (("150", "30"), "80", result(80), ("120", "40")))),
)  # fmt: skip
# The user asks not to be told it before the last turn.
_SECRET = "turns-code-word"


def families(_seed: int) -> list[Family]:
    """The families of this skill; nothing is drawn."""
    return [
        Family(
            name=name,
            skill="multi-turn",
            level=level,
            tokens=64,
            probes=tuple(_probe(name, turns, case) for case in cases),
        )
        for level, name, turns, cases in _ROWS
    ]


def _probe(name: str, turns: tuple[str, ...], case: _Case) -> Probe:
    values, right, check, wrong = case
    *earlier, last = (turn.format(*values) for turn in turns)
    return Probe(
        ask=last,
        earlier=tuple(earlier),
        earlier_checks=({"type": "not-icontains", "value": values[0]},) if name == _SECRET else (),
        right=right,
        checks=[matches(check) if isinstance(check, str) else check, PLAIN],
        wrong=wrong,
    )
