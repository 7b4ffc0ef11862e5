"""Makes the demo's rehearsal file: general questions with the base model's own answers.

    python examples/orders/make_rehearsal.py

Rows like these among the orders keep a fine-tune from forgetting what the base could do: it goes on
practising it. The answers are the base's own, mistakes included (greedy; those that don't end within 64
tokens are left out), so nothing new is taught. None of the questions stands in golden_sets/general, which
tests/test_shipped_data.py checks.

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


def _each(pattern: str, words: str) -> list[str]:
    return [pattern.format(word.strip()) for word in words.split(",")]


def questions() -> list[str]:
    """Knowledge, arithmetic, instructions, formats: the skills of the probes, asked of other things."""
    return [
        *_each(
            "What is the capital of {}?",
            "Spain, Portugal, Austria, Hungary, Sweden, Denmark, Finland, Turkey, India, China, Russia, "
            "Canada, Brazil, Argentina, Chile, Mexico, Cuba, Thailand, Vietnam, Morocco",
        ),
        *_each(
            "What is {}?",
            "4 + 5, 6 + 1, 8 + 3, 12 + 7, 30 + 20, 50 + 50, 9 - 4, 8 - 2, 10 - 7, 20 - 5, 4 times 2, "
            "5 times 3, 6 times 6, 7 times 2, 12 divided by 3, 30 divided by 5, half of 20, half of 6, "
            "11 + 11, 200 + 300",
        ),
        *_each(
            "What is the opposite of {}?", "cold, small, down, night, sad, slow, closed, right, young, empty"
        ),
        *_each("What is the plural of {}?", "man, foot, tooth, goose, dog, city"),
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
        *_each("What does a {} do?", "teacher, baker, pilot, farmer, nurse"),
        *_each("What is a {} used for?", "hammer, microscope, compass, pencil"),
        *_each("Repeat this word: {}", "water, green, yesterday"),
        *_each(
            "Repeat this sentence exactly: {}", "The sun is bright today.,I walk to school.,We have two dogs."
        ),
        *_each("Write the word {} in capital letters.", "tree, house, river"),
        *_each("Which month comes after {}?", "March, June, November"),
        *_each("Which day comes after {}?", "Monday, Thursday"),
        *_each("Who wrote {}?", "Romeo and Juliet, the Odyssey, Don Quixote, Pride and Prejudice"),
        *_each("What is the chemical symbol of {}?", "iron, silver, oxygen, carbon"),
        *_each("What is the currency of {}?", "Japan, the United States, India"),
        *_each("In which country is {}?", "the Taj Mahal, the Great Wall, Mount Fuji, the Grand Canyon"),
        *_each("How many legs does {} have?", "a dog, a bird, an ant"),
        *_each("Correct this sentence: {}", "He have a car.,They was late.,I goes home."),
        *_each(
            "Write a Python {}.",
            "line that prints your name, function that doubles a number, list of three words",
        ),
        *_each("What is the past tense of {}?", "see, run, eat, write"),
        *_each("Name one {}.", "planet, ocean, continent, bird, metal"),
        "How many days are there in a week?",
        "How many seconds are in one minute?",
        "How many grams are in one kilogram?",
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
        "I have 5 pens and lose 2. How many pens do I have now?",
        "Continue the sequence: 5, 10, 15, 20,",
    ]


def main() -> None:
    """Ask the base all questions and write those that it answered to the end."""
    asked = questions()
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
        if answers[number].stop_reason == "stop" and answers[number].text.strip()
    ]
    OUTPUT.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{OUTPUT}: {len(rows)} of {len(asked)} questions answered to the end")


if __name__ == "__main__":
    main()
