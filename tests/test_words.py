"""The project's words: the field's terms, in plain English, everywhere that people read."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest
import regex

ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "trainers", "reports", "tunegate")
SOURCES = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
PAGES = [
    *(ROOT / "golden_sets").rglob("*.md"),
    *(ROOT / "benchmarks").rglob("*.py"),
    *(path for path in (ROOT / "reports").rglob("*") if path.suffix in {".jinja", ".js", ".css", ".html"}),
    ROOT / "README.md",
    *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "Makefile", "pyproject.toml", "action.yml")),
    ROOT / "CHANGELOG.md",
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "docs").glob("*.py"),
    *(ROOT / "examples").rglob("*.md"),
    *ROOT.glob("*.py"),
    *(path for folder in ("ci", ".ci", ".github") for path in (ROOT / folder).rglob("*") if path.is_file()),
]
# Read for what explains; the rest is data, such as cases and answers.
EXPLAINED = [
    path
    for folder in ("examples", "tests", "golden_sets", "harness")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".yaml", ".yml"} and path not in SOURCES and path != Path(__file__)
]

_PLACES = (
    "in|on|at|beside|there|where|here|under|below|above|beyond|within|outside|inside|apart|near|between|behind|before|"
    "after|twice|for itself"
)
# A pattern, and what to write instead.
BANNED = {
    r"ask(s|ed|ing)? (it |them |the model |the same |one model |a model |both sides )?(once )?again": "resample",
    r"broken cases?": "regressed case",
    r"cases? (that )?broke\b(?! a| the| off)": "regressed",
    r"(is|are|stays?|remains?|verdict) open": "inconclusive; unbounded, of a scale",
    r"origin model|the origin's|(against|since) (its|the) origin": "base",
    r"mend(s|ed|ing)?": "fix",
    r"h[eo]ld(s|ing)? (it |them |this one |one |a judge |each |these |those )?against": "compare with",
    r"(can|could|can't|cannot|couldn't|to|may) be had": "is available, is unavailable",
    rf"(lies|lie|lay|lain|lying|st(?:and|ands|ood|anding)) ({_PLACES})": "is in, is stored in, occurs, comes before",
    r"heed(s|ed|ing|less)?": "respect, take into account, use",
    r"(at|to) hand": "available",
    r"told apart|tells? (\w+ ){1,2}apart": "distinguished",
    r"foretold|foretells?": "predicted",
    r"nought|aught|whilst|hence|thereof|therein|thereby|whereby|wherein|whence|lest|albeit|unto": "a common word",
    r"the gate's word": "the gate's verdict",
    r"what (is|was|were|are) wanted": "the expected ...",
    r"has to do with": "concerns",
    r"farther": "further",
    r"said to be": "called",
    r"(what|whatever) (is|was|are|can be|the \w+ says?|it says) (said )?of it": "the notes on it",
    r"what bec(omes|ame) of": "the outcome of",
    r"pass(ed|ing) over|(to|it|and|not) pass over|passes over(?! the data| all rows)": "ignore",
    r"for want of": "for lack of",
    r"can be told": "is known",
    r"all the same": "still, anyway",
    r"shall": "must, should",
    r"in vain": "without effect",
}

# Class names are nouns: none ends in a participle or an adjective.
NO_NOUN = re.compile(
    r"\w+(ed|ing|able|ible|less|wise)|"
    "begun|broken|chosen|done|driven|drawn|fallen|found|given|gone|held|kept|known|left|lost|made|meant|out|said|seen|"
    "sent|shown|spent|taken|told|written|(?:deal|buil|lef|los|mean|sen|spen)t|"
    "current|dead|empty|fast|full|idle|late|never|off|on|open|polite|slow|strict|together|unable|valid|whole|wrong"
)
NOUN = re.compile(
    "(re)?sampling|finding|forgetting|judging|pairing|reading|rendering|scheduling|standing|table|training|wording"
)
VAGUE_FILES = {
    "several",
    "units",
    "facts",
    "place",
    "places",
    "past",
    "named",
    "table",
    "utils",
    "misc",
}


def explanations(path: Path) -> str:
    """A file's comments and, of Python, its docstrings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return "\n".join(re.findall(r"(?:^|\s)#([^\n]*)", text))
    tree = ast.parse(text)
    owners = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, owners)]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return "\n".join(docstrings + [token.string[1:] for token in tokens if token.type == tokenize.COMMENT])


def prose(path: Path) -> str:
    """A file's text with wrapped lines joined; of data, only what explains it."""
    text = explanations(path) if path in EXPLAINED else path.read_text(encoding="utf-8")
    text = re.sub(r"[\"']\s*\n\s*[fr]?[\"']", "", text)
    return re.sub(r"\s*\n\s*(#:? )?", " ", text)


def test_no_banned_words():
    found = [
        f"{path.relative_to(ROOT)}: ...{text[max(0, hit.start() - 30) : hit.end() + 30]}...: write {better!r}"
        for path in SOURCES + PAGES + EXPLAINED
        for text in [prose(path)]
        for banned, better in BANNED.items()
        for hit in regex.finditer(rf"\b({banned})\b", text, regex.IGNORECASE)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "One model is asked\n    # again.",
        'f"the rows lie "\n    f"beside it"',
        "What stands\nbehind it is not seen.",
    ],
)
def test_wrapped_lines_are_joined(text, tmp_path):
    path = tmp_path / "page.md"
    path.write_text(text)
    assert [word for word in BANNED if re.search(rf"\b({word})\b", prose(path), re.IGNORECASE)]


def last_word(name: str) -> str:
    return re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)[-1].lower()


def is_noun(name: str) -> bool:
    return bool(NOUN.fullmatch(last_word(name))) or not NO_NOUN.fullmatch(last_word(name))


def test_class_names_are_nouns():
    code = [
        ast.parse(path.read_text("utf-8")) for path in SOURCES + PAGES + EXPLAINED if path.suffix == ".py"
    ]
    names = {node.name for tree in code for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    assert len(names) > 500
    assert sorted(name for name in names if not is_noun(name)) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Unscored", False),
        ("_Waiting", False),
        ("LeftOut", False),
        ("PartlyLabelled", False),
        ("JsonValid", False),
        ("_Entrywise", False),
        ("PartlyLabelledItems", True),
        ("CaseReading", True),
        ("NextToken", True),
        ("_BuiltReward", True),
    ],
)
def test_participles_and_adjectives_are_no_nouns(name, expected):
    assert is_noun(name) is expected


def test_file_names_say_what_is_inside():
    assert [
        str(path.relative_to(ROOT))
        for path in SOURCES + PAGES + EXPLAINED
        if path.suffix == ".py" and VAGUE_FILES & set(path.stem.split("_"))
    ] == []
