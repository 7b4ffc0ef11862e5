"""Instructions about the form of an answer, which code can verify."""

from collections.abc import Sequence

from harness.authoring.levels.families import PLAIN, Check, Family, Probe, matches, no_echo


def _length(unit: str, least: int | None, most: int | None) -> Check:
    bounds = {"min": least, "max": most}
    return {"type": "length", "unit": unit, **{key: value for key, value in bounds.items() if value}}


def _words(least: int | None, most: int | None) -> Check:
    return _length("words", least, most)


_BULLET = "[-*•–]"


def _items(marks: Sequence[str]) -> str:
    """A pattern of a list alone, with an item for each mark on a line of its own."""
    return "".join(rf"[ \t]*{mark} [^\n]+(?:\n\s*|\s*$)" for mark in marks)


def _list_within(marks: Sequence[str], any_mark: str) -> Check:
    """A check of a list that may have other lines before and behind it, but no further item."""
    other = rf"(?![ \t]*{any_mark} )[^\n]*"
    return matches(rf"^(?:{other}\n)*{_items(marks)}(?:{other}(?:\n|$))*$", ignore_case=False)


_CAPITALS = matches(r"^[^a-z]*[A-Z][^a-z]*[A-Z][^a-z]*$", ignore_case=False)
_LOWER = matches(r"^[^A-Z]*[a-z][^A-Z]*$", ignore_case=False)
_TABLE = r"^\s*\|?[\s*]*Name[\s*]*\|[\s*]*Moons[\s*]*\|?\s*\n\s*\|?[\s:|-]+\n(\s*\|?[^|\n]+\|[^|\n]+\|?\s*(\n|$)){3}\s*$"
# A dash between spaces is no word.
_EIGHT_WORDS = r"^\s*(?:[^\w\s]+\s+)*(?:[^\w\s]*\w\S*(?:\s+[^\w\s]+)*(?:\s+|$)){8}$"

# Level, name, questions, checks, an answer that passes, answers that fail.
_ROWS: tuple[tuple[str, str, Sequence[str], Sequence[Check], str, Sequence[str]], ...] = (
    ("easy", "one-word", ["Name a fruit. Answer with one word only.", "Name a colour. Answer with one word only."], [_words(1, 1), matches(r"^\W*\w{3,}")], "orange", ["An orange would do."]),
    ("easy", "say-exactly", ["Write the word HELLO and nothing else.", "Say HELLO and nothing else."], [matches(r"^\W*hello\W*$")], "HELLO", ["HELLO, how are you?"]),
    ("easy", "three-numbered", ["Write a numbered list of three vegetables.", "Write a numbered list of three musical instruments."], [_list_within(["1[.)]", "2[.)]", "3[.)]"], r"\d[.)]")], "1. Drum\n2. Bean\n3. Flute", ["1. Drum\n2. Bean", "Drum, bean, flute"]),
    ("easy", "contains-word", ["Write one sentence with the word bridge in it.", "Make a sentence about a town that uses the word bridge."], [matches(r"\bbridge\b"), _words(4, 40)], "The old bridge crosses a small river.", ["The river is small and old."]),
    ("easy", "one-sentence", ["Describe the sea in one sentence.", "Describe the winter in one sentence."], [_length("sentences", 1, 1), _words(4, 45), matches(r"\b(sea|ocean|water|waves?|winter|snow|cold|season|ice|frost)")], "It is wide, cold and full of quiet light.", ["It is wide. It is cold and quiet.", "Sure, it is 3.1."]),
    ("easy", "ends-with-question", ["Ask me one question about my holidays.", "Ask me one question about my work."], [matches(r"\w[^.!]*\?[\s*_\"”]*$")], "What do you like most about it?", ["I like it."]),
    ("easy", "bullets-two", ["Give two reasons to drink water, as two bullet points.", "Give two reasons to sleep well, as two bullet points."], [_list_within([_BULLET] * 2, _BULLET)], "- It keeps you well.\n- It gives you strength.", ["It keeps you well and gives you strength.", "- It keeps you well - and it is free."]),
    ("easy", "comma-list", ["List four animals in one line, separated by commas.", "List four cities in one line, separated by commas."], [matches(r"^\s*(?:[^\n]*:\s*\n\s*)?[^,\n]+(?:, ?[^,\n]+){3}\s*$")], "Lion, Rome, Bear, Oslo", ["Lion\nRome\nBear\nOslo"]),
    ("medium", "all-capitals", ["Describe a storm in one sentence. Write in capital letters only.", "Greet a new colleague in one sentence. Write in capital letters only."], [_CAPITALS, _words(3, 40)], "WELCOME TO THE DARK AND WINDY TEAM.", ["Welcome to the team, and to the wind."]),
    ("medium", "lower-case", ["Describe a forest in one sentence. Use lower-case letters only.", "Describe a kitchen in one sentence. Use lower-case letters only."], [_LOWER, _words(4, 40)], "it is warm and smells of wood.", ["It is warm and smells of wood."]),
    ("medium", "no-commas", ["Write two sentences about a market. Do not use any comma.", "Write two sentences about a harbour. Do not use any comma."], [{"type": "not-contains", "value": ","}, _length("sentences", 2, 2), _words(8, None)], "It is loud in the morning. People talk and carry heavy boxes.", ["It is loud, wet and cold. People talk and carry heavy boxes."]),
    ("medium", "word-limit", ["Explain why the sky is blue in 20 words at most.", "Explain why leaves are green in 20 words at most."], [_words(6, 20), matches(r"light|sun|chlorophyll")], "Its parts scatter or reflect some colours of the sunlight more than others.", ["Its parts scatter or reflect some colours of the sunlight more than others, which is a long story that one could go on telling for many lines."]),
    ("medium", "exactly-three-sentences", ["Describe a library in exactly three sentences.", "Describe a railway station in exactly three sentences."], [_length("sentences", 3, 3), _words(10, None)], "It is large and old. Many people come every day. I like its tall windows.", ["It is large and old and many people come every day. I like it."]),
    ("medium", "ends-with-phrase", ["Give one tip for learning a language. End your answer with the words: Keep going!", "Give one tip for running a race. End your answer with the words: Keep going!"], [matches(r"\w[\s\S]*Keep going!\W*$"), _words(6, None)], "Do a little of it every single day. Keep going!", ["Keep going! Do a little of it every single day."]),
    ("medium", "two-paragraphs", ["Write two short paragraphs about gardens, separated by one blank line. No headings.", "Write two short paragraphs about clocks, separated by one blank line. No headings."], [matches(r"^\s*[^\n#]{20,}\n\s*\n[^\n#]{20,}\s*$")], "They need patience and a steady hand.\n\nThey please people of every age.", ["They need patience and a steady hand. They please people of every age."]),
    ("medium", "avoid-word", ["Describe snow in two sentences without using the word white.", "Describe milk in two sentences without using the word white."], [{"type": "not-icontains", "value": "white"}, _length("sentences", 2, 2), _words(8, None)], "It is soft to the eye and cold to the lips. Children like it very much.", ["It is white and cold to the lips. Children like it very much."]),
    ("medium", "bullets-five", ["List exactly five things to pack for a hike, each as a bullet point, with no other text.", "List exactly five tools of a carpenter, each as a bullet point, with no other text."], [matches(rf"^\s*{_items([_BULLET] * 5)}$", ignore_case=False)], "- hammer\n- map\n- saw\n- rope\n- knife", ["- hammer\n- map\n- saw", "Here you are:\n- hammer\n- map\n- saw\n- rope\n- knife", "- hammer - map - saw - rope - knife"]),
    ("medium", "in-quotes", ["Invent a name for a café. Put it in double quotation marks and write nothing else.", "Invent a title for a novel about rain. Put it in double quotation marks and write nothing else."], [matches(r'^[\s*_]*["“][^"“”\n]{3,}["”][\s*_]*$')], '"The Grey Umbrella"', ["The Grey Umbrella", 'How about "The Grey Umbrella"?']),
    ("hard", "each-line-starts-with", ["Write four lines of a poem about night. Each line begins with the letter S.", "Write four lines of a poem about the sea. Each line begins with the letter S."], [matches(r"^\s*(?:[*_\"“]*S[^\n]+\n+){3}[*_\"“]*S[^\n]+\s*$", ignore_case=False)], "Silver on the water,\nSlow and far away,\nSomeone sings to no one,\nSilent goes the day.", ["Silver on the water,\nSlow and far away,\nNo one sings to no one,\nSilent goes the day."]),
    ("hard", "acrostic", ["Write an acrostic of the word MOON: four lines whose first letters spell MOON, and nothing else.", "Write four lines whose first letters spell MOON, and nothing else."], [matches(r"^\W*M[^\n]+\n\W*O[^\n]+\n\W*O[^\n]+\n\W*N[^\n]+\s*$", ignore_case=False)], "Many nights\nOver roofs\nOur lamp\nNever tires", ["Many nights\nOver roofs\nNever tires"]),
    ("hard", "exact-word-count", ["Write a sentence about coffee that has exactly eight words.", "Write a sentence about trains that has exactly eight words."], [matches(_EIGHT_WORDS), _length("sentences", 1, 1), {"type": "not-is-refusal"}], "It is better when it comes quite early.", ["It is better when it comes early."]),
    ("hard", "no-letter-e", ["Write a sentence of at least six words about a dog. Do not use the letter e.", "Write a sentence of at least six words about a farm. Do not use the letter e."], [{"type": "not-icontains", "value": "e"}, _words(6, None)], "A small brown animal runs around a barn.", ["A small brown beast runs around the barn."]),
    ("hard", "keyword-counts", ["Write a short text about a river in which the word stone occurs exactly three times.", "Write a short text about a castle in which the word stone occurs exactly three times."], [matches(r"^(?:(?!\bstones?\b)[\s\S])*(?:\bstone\b(?:(?!\bstones?\b)[\s\S])*){3}$"), _words(12, None)], "There is a stone at the gate, a stone in the water, and behind both a third stone.", ["There is a stone at the gate and a stone in the water, and that is all there is."]),
    ("hard", "markdown-table", ["Write a Markdown table of three planets with the columns Name and Moons, and nothing else.", "Write a Markdown table of any three planets, columns Name and Moons. No other text."], [{**matches(_TABLE), "transform": "code-block"}], "| Name | Moons |\n|---|---|\n| Earth | 1 |\n| Mars | 2 |\n| Venus | 0 |", ["Earth has 1, Mars 2 and Venus 0."]),
    ("hard", "order-and-limit", ["Name three rivers in alphabetical order, one on each line, without numbers or bullets, in lower case. Choose from: Nile, Amazon, Rhine.", "Sort these rivers alphabetically, one on each line, in lower case, without any marks: Rhine, Nile, Amazon."], [matches(r"^\s*amazon\s*\n\s*nile\s*\n\s*rhine\s*$", ignore_case=False)], "amazon\nnile\nrhine", ["Amazon\nNile\nRhine", "nile\namazon\nrhine"]),
    ("hard", "two-parts-with-marker", ["Answer in two parts separated by a line with three asterisks only: first a reason for taxes, then a reason against. Each part has at most 15 words.", "Write a reason for homework, then a line with three asterisks only, then a reason against homework. At most 15 words for each reason."], [matches(r"^\s*(?:\S+\s+){2,14}\S+\s*\n\s*\*\*\*\s*\n\s*(?:\S+\s+){2,14}\S+\s*$")], "They pay for what all of us use.\n***\nThey leave people less of their day.", ["They pay for what all of us use. They leave people less."]),
)  # fmt: skip


# How the answer begins, which is not the same for both questions; an answer that passes, answers that fail.
_YES_OR_NO = (
    ("Is ice cold? Begin your answer with Yes or No.", "yes", "Yes, indeed.", ("Of course, yes.", "No.")),
    ("Do fish live in trees? Begin your answer with Yes or No.", "no", "No, never.", ("Well, no.", "Yes.")),
)


def families(_seed: int) -> list[Family]:
    """The families of this skill; nothing is drawn."""
    begun = Family(
        name="yes-first",
        skill="instructions",
        level="easy",
        tokens=128,
        probes=tuple(
            Probe(
                ask=ask,
                right=right,
                checks=[matches(rf"^\W*{begin}\b"), no_echo(ask), PLAIN],
                wrong=wrong,
            )
            for ask, begin, right, wrong in _YES_OR_NO
        ),
    )
    formed = [
        Family(
            name=name,
            skill="instructions",
            level=level,
            tokens=128,
            probes=tuple(
                Probe(ask=ask, right=right, checks=[*checks, no_echo(ask), PLAIN], wrong=tuple(wrong))
                for ask in asks
            ),
        )
        for level, name, asks, checks, right, wrong in _ROWS
    ]
    return [*formed, begun]
