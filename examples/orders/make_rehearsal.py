"""Makes the demo's rehearsal file: general questions with the base model's own answers.

    python examples/orders/make_rehearsal.py

Rows like these among the orders keep a fine-tune from forgetting what the base could do: it goes on
practising it. The answers are the base's own (greedy), so nothing new is taught; those that don't end within
64 tokens are left out, and those without the right result where one is known. None of the questions is in
golden_sets/general, which tests/test_shipped_data.py checks.

Huang et al. (2024), Mitigating Catastrophic Forgetting in Large Language Models with Self-Synthesized
Rehearsal, arXiv:2403.01244.
"""

import json
from pathlib import Path

from harness.engines.base import CANDIDATE, GenerationRequest
from harness.engines.open import open_engine
from harness.types import Completion, GenerationSettings, Message

OUTPUT = Path(__file__).with_name("rehearsal.jsonl")
BASE = "smollm2"
SETTINGS = GenerationSettings(max_new_tokens=64)


# Questions with one right result.
CAPITALS = {
    "Spain": "Madrid", "Portugal": "Lisbon", "Austria": "Vienna", "Hungary": "Budapest",
    "Sweden": "Stockholm", "Denmark": "Copenhagen", "Finland": "Helsinki", "Turkey": "Ankara",
    "India": "Delhi", "China": "Beijing", "Russia": "Moscow", "Canada": "Ottawa",
    "Argentina": "Buenos Aires", "Cuba": "Havana",
}  # fmt: skip
SUMS = {
    "4 + 5": "9", "6 + 1": "7", "8 + 3": "11", "12 + 7": "19", "30 + 20": "50", "50 + 50": "100",
    "1 + 3": "4", "2 + 5": "7", "6 + 6": "12", "8 + 8": "16", "5 + 4": "9", "11 + 11": "22",
    "200 + 300": "500", "9 + 1": "10", "4 + 4": "8", "9 - 4": "5", "8 - 2": "6", "10 - 7": "3",
    "20 - 5": "15", "6 - 4": "2", "7 - 1": "6", "9 - 8": "1", "4 times 2": "8", "5 times 3": "15",
    "6 times 6": "36", "7 times 2": "14", "4 times 4": "16", "8 times 8": "64",
    "3 times 5": "15", "12 divided by 3": "4", "30 divided by 5": "6", "8 divided by 2": "4",
    "40 divided by 5": "8", "half of 20": "10", "half of 6": "3", "half of 12": "6", "half of 50": "25",
}  # fmt: skip
OTHERS = {
    "How many days are there in a week?": "7",
    "How many seconds are in one minute?": "60",
    "Continue the sequence: 5, 10, 15, 20,": "25",
    "I have 5 pens and lose 2. How many pens do I have now?": "3",
    "I have 4 books and buy 3 more. How many books do I have now?": "7",
    "3 cats sit on a wall and 1 more joins them. How many cats are there?": "4",
    "There are 6 cups on the table and I add 2. How many cups are there?": "8",
}


def _each(pattern: str, words: str) -> list[str]:
    return [pattern.format(word.strip()) for word in words.split(",")]


def results() -> dict[str, str]:
    """Questions with one right result, and what an answer must hold."""
    return {
        **{f"What is the capital of {country}?": city for country, city in CAPITALS.items()},
        **{f"What is {term}?": number for term, number in SUMS.items()},
        **OTHERS,
    }


def questions() -> list[str]:
    """Knowledge, arithmetic, instructions, formats: the skills of the probes, asked of other things."""
    return [
        *results(),
        *_each(
            "What is the opposite of {}?", "cold, small, down, night, sad, slow, closed, right, young, empty"
        ),
        *_each("What is the plural of {}?", "man, tooth, goose, dog, city"),
        *_each("How do you say {} in Spanish?", "good morning, please, goodbye, water"),
        *_each("How do you say {} in Italian?", "hello, thank you"),
        *_each(
            "What is a {}? Answer in one sentence.", "book, house, river, teacher, hospital, bicycle, phone"
        ),
        *_each("Describe a {} in one sentence.", "cat, garden, train, library"),
        *_each("Give me a numbered list of three {}.", "animals, vegetables, countries, sports, drinks"),
        *_each("Make a numbered list of three {}.", "birds, flowers, school subjects"),
        *_each("List three {} as bullet points.", "colors, cities in Europe, musical instruments"),
        *_each("List three {} separated by commas.", "animals, colors, vegetables"),
        *_each("Write a poem about {}.", "the sea, winter, a bird"),
        *_each("Write a question about {}.", "music, books, food, travel"),
        *_each("What does a {} do?", "baker, pilot, farmer, nurse"),
        *_each("What is a {} used for?", "hammer, microscope, compass, pencil"),
        *_each("Repeat this word: {}", "water, green, yesterday"),
        *_each(
            "Repeat this sentence exactly: {}", "The sun is bright today.,I walk to school.,We have two dogs."
        ),
        *_each("Write the word {} in capital letters.", "tree, house, river"),
        *_each("Which month comes after {}?", "March, June, November"),
        *_each("Which day comes after {}?", "Monday, Thursday"),
        *_each("Who wrote {}?", "Romeo and Juliet, the Odyssey, Don Quixote, Pride and Prejudice"),
        *_each("What is the chemical symbol of {}?", "silver, oxygen, carbon"),
        *_each("What is the currency of {}?", "Japan, the United States, India"),
        *_each("In which country is {}?", "the Taj Mahal, the Great Wall, Mount Fuji, the Grand Canyon"),
        *_each("How many legs does {} have?", "a dog, a bird, an ant"),
        *_each("Correct this sentence: {}", "He have a car.,They was late.,I goes home."),
        *_each(
            "Write a Python {}.",
            "line that prints your name, function that doubles a number, list of three words",
        ),
        *_each("What is the past tense of {}?", "see, run, eat, write"),
        *_each("Name one {}.", "ocean, continent, bird, metal"),
        "Which gas fills most of the air?",
        "Why is the sky blue?",
        "What do bees make?",
        "Is ice cold? Answer yes or no.",
        "Is this review positive or negative? The food was cold and the staff was rude.",
        "Complete the proverb: Practice makes",
        "Write an SQL query that counts the rows of the table orders.",
        "Write the beginning of a letter to a friend.",
        "Write a short dialogue between a teacher and a pupil.",
        "Make a Markdown table with the columns City and Country.",
    ]


def main() -> None:
    """Ask the base all questions and write those that it answered to the end."""
    asked, right = questions(), results()
    answers: dict[int, Completion] = {}
    requests = [
        GenerationRequest(
            key=question,
            side=CANDIDATE,
            messages=(Message(role="user", content=question),),
            settings=SETTINGS,
        )
        for question in asked
    ]
    open_engine(BASE).generate(requests, answers.update)
    rows = [
        {"prompt": question, "completion": answers[number].text.strip()}
        for number, question in enumerate(asked)
        if answers[number].stop_reason == "stop"
        and answers[number].text.strip()
        and right.get(question, "") in answers[number].text
    ]
    OUTPUT.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{OUTPUT}: {len(rows)} of {len(asked)} questions answered right and to the end")


if __name__ == "__main__":
    main()
