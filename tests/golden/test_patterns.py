"""A pattern means to ``regex`` what it means to Python's ``re``: wherever both find something, they find the same."""

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from harness.golden.patterns import PatternError, check_pattern, compiled

TEXTS = [
    "",
    "\n",
    "a",
    "A",
    "ab",
    "aab\n",
    "abcabc",
    "a.b",
    "{i}",
    "x_{i}",
    "x_i",
    "xi",
    "[[:alpha:]]",
    "a]",
    ":",
    "1 22 333",
    "m² und ½",
    "नमस्ते दुनिया",
    "e\u0301clair Straße",
    "K ſ İ",
    "\x1c\x1f",
    "tab\tnew\r\nline",
    "ab ab",
    "&& || -- ~~ a-b",
    "(x)",
    "\\d",
    "a" * 12 + "b",
]


def same(pattern, texts=TEXTS, **options):
    flags = re.IGNORECASE if options.get("ignore_case") else 0
    for text in texts:
        ours = [(m.span(), m.groups()) for m in compiled(pattern, **options).finditer(text)]
        assert ours == [(m.span(), m.groups()) for m in re.finditer(pattern, text, flags)], (pattern, text)


@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")
@pytest.mark.parametrize(
    "pattern",
    [
        # What regex alone would read as fuzzy, as a class of POSIX or as an operation on sets.
        "x_{i}", "(?:xyz){e}", "a{s<=1}", "[[:alpha:]]", "[[a-z]&&[b]]", "[a||b~~c]", r"[\[\]]", "[]a]", "[^]a]",
        # Words, digits and white space.
        r"\w+", r"\W+", r"\b\w", r"\B.", r"\s", r"\S+", r"[\s\d]+", r"[^\W\d_]+", r"[\W\d]", r"[^\s\w]", r"[\D\S]", r"(?a)\w+\b", r"(?a:\w+) \w", "(?a)[^k]", "(?a)k|s", "(?a)[j-l]+",
        # Flags, for all or for a part.
        "(?i)AB", "(?i:a)b", "(?s).+", "(?s:.)b(?-s:.)", "(?im)^a$", "(?m)^.*$", "(?x) a # [x {i}\n b", "(?i)ſ|k", "(?i)[^k]",
        # Repetitions, groups, looking around, references, conditions.
        "a*", "a+?", "a{2,}", "a{,2}", "a{1,2}?", "a++b", "(?>a*)b", "a{", "a{}", "a{x}", "{", "(a)(b)?", "(?P<n>a)(?P=n)", r"(a)(b)\1",
        "(?<=a)b", "(?<!a)b", "a(?=b)", "a(?!b)", "(a)?(?(1)b|c)", "(a)?(?(1)b)", "(|a)+b", "a|ab|abc", "^", "$", r"\A", r"\Z", r"\n|\t|\r|\x41|\u0301", ".", r"\.",
        r"\N{SUPERSCRIPT TWO}", r"\$|\^", "(?#note [ {i})a", "[a-c-]", r"[\w-]+", r"[\\d]", "é|e\u0301",
    ],
)  # fmt: skip
def test_both_find_the_same(pattern):
    same(pattern)
    same(pattern, ignore_case=True)


ATOMS = st.sampled_from(
    ["a", "b", "A", ".", r"\w", r"\W", r"\d", r"\s", r"\S", r"\b", r"\B", "^", "$", "[ab]", "[^a]", r"[^\W1]", r"[\W\d]", "[b-{]", "{i}", "{e}", "²", "ि", " "]
)  # fmt: skip


def composed(inner):
    groups = st.sampled_from(
        ["({})", "(?:{})", "(?={})", "(?!{})", "(?i:{})", "(?a:{})", "(?s:{})", "(?>{})"]
    )
    return st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("{}|{}".format, inner, inner),
        st.builds(lambda group, text: group.replace("{}", text), groups, inner),
        st.builds(
            lambda text, sign: f"(?:{text}){sign}",
            inner,
            st.sampled_from(["?", "*", "+", "*?", "{1,2}", "?+"]),
        ),
    )


@given(
    st.recursive(ATOMS, composed, max_leaves=6),
    st.text(st.sampled_from("abAB12 _{}ie²ि\n-"), max_size=12),
    st.booleans(),
)
@example(r"\B", "", False)
@example("(?:|a)*b", "aab", False)
def test_both_find_the_same_in_patterns_put_together(pattern, text, ignore_case):
    try:
        re.compile(pattern)
    except re.error:
        assume(False)
    flags = re.IGNORECASE if ignore_case else 0
    ours, theirs = compiled(pattern, ignore_case=ignore_case).search(text), re.search(pattern, text, flags)
    assert (ours and ours.span()) == (theirs and theirs.span())


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "missing \\), unterminated subpattern"),
        ("a**", "multiple repeat"),
        ("[a--b]", "bad character range"),
        (r"\p{L}", r"bad escape \\p"),
        ("(?V1)a", "unknown extension"),
        ("(?<=a+)b", "look-behind requires fixed-width"),
        ("a{99999999999}", "repetition number is too large"),
        ("(" * 5000 + ")" * 5000, "nested too deeply"),
    ],
)
def test_what_re_refuses_is_refused(pattern, message):
    """Also where regex would take it: a pattern that works here works in Python."""
    with pytest.raises(PatternError, match=message):
        check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern", [r"^a$", r"\w+", r"(?m)^a$", r"[\d_]", r"[^\w]", r"\D", r"a.b", r"(?s).", r"\bx"]
)
@pytest.mark.parametrize("text", ["a", "a\n", "é", "٣", "a\u2028b", "_", "\nb\na\n", "x", "éx", "b"])
def test_a_schema_s_pattern_is_that_of_ecma_262(pattern, text):
    """Written out in Python's own terms: the very end, ASCII classes, four line ends."""
    plain = pattern if "(?m)" in pattern else pattern.replace("$", r"\Z")
    plain = plain if "(?s)" in pattern else plain.replace("a.b", r"a[^\n\r\u2028\u2029]b")
    assert bool(compiled(pattern, ecma=True).search(text)) == bool(re.search(plain, text, re.ASCII))
