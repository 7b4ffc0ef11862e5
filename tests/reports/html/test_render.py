"""The page is one file that loads nothing, and no text in it can become markup, script or a hidden trick."""

import base64
import hashlib
import html
import json
import random
import re
import string
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.types import Completion, GateRecord
from reports.html import render_report
from tunegate.printable import visible

Spoiler = Callable[[GateRecord, str], GateRecord]
TAGS = {
    *("html", "head", "meta", "title", "link", "style", "body", "script", "header", "main", "nav", "section"),
    *("aside", "a", "p", "b", "i", "h1", "h2", "h3", "ul", "li", "dl", "div", "dt", "dd", "span", "small"),
    *("code", "time", "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary", "figure"),
    *("figcaption", "input", "label", "select", "option", "optgroup", "button", "noscript"),
    *("svg", "path", "rect", "line", "circle", "text"),
}
ATTRIBUTES = {
    *(
        "aria-hidden",
        "aria-label",
        "aria-labelledby",
        "charset",
        "class",
        "content",
        "data-copies",
        "data-filter",
    ),
    *(
        "data-label",
        "data-pager",
        "data-rows",
        "data-unfold",
        "dir",
        "for",
        "hidden",
    ),
    *(
        "http-equiv",
        "href",
        "id",
        "lang",
        "name",
        "open",
        "placeholder",
        "rel",
        "role",
        "scope",
        "type",
        "value",
    ),
    *("autocomplete", "spellcheck", "label", "title", "preserveaspectratio"),
    *("viewbox", "d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "text-anchor"),
}
VOID = {"meta", "link", "input"}
HOSTILE = [
    "</script><script>window.pwned = 1</script>",
    "</style><style>body{display:none}",
    '<img src=x onerror="window.pwned = 2">',
    "\"><svg onload='window.pwned = 3'>",
    "' onmouseover='window.pwned = 4' x='",
    "<!-- <a href='javascript:window.pwned=5'>click</a> -->",
    "]]>&lt;b&gt;&#60;script&#62;",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "safe\u202egnp.exe\u2066",
    "nul\x00byte",
    "\ud83d alone",
    "\u2028\u2029\x85",
]


HIDDEN = "\x00\x1b\x07\u202e\u2066\u2028\x85"
Unpacker = Callable[[str], tuple[dict[str, Any], list[dict[str, Any]]]]


class Reader(HTMLParser):
    """Collects what a document is made of, and checks that its tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.values: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.data: list[str] = []
        self.surprises: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            self.values.append((name, value or ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.surprises.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        self.data.append(data)

    def handle_comment(self, data: str) -> None:
        self.surprises.append(f"comment {data!r}")

    def handle_pi(self, data: str) -> None:
        self.surprises.append(f"instruction {data!r}")


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def assert_inert(page: str) -> Reader:
    """The page has our own tags and attributes only, well nested, and links to itself only."""
    reader = read(page)
    assert reader.surprises == []
    assert reader.open == []
    assert reader.tags <= TAGS
    assert reader.attributes <= ATTRIBUTES
    for name, value in reader.values:
        if name == "href":
            assert re.match(r"#[\w-]+$|data:image/svg\+xml,", value), value
    page.encode("utf-8")
    return reader


def test_the_page_is_one_file_that_may_load_nothing(invented: Callable[..., GateRecord]) -> None:
    page = render_report(invented(lost=3))
    reader = assert_inert(page)
    policy = next(value for name, value in reader.values if value.startswith("default-src"))
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert set(re.findall(r"<script[^>]*>", page)) == {'<script type="application/gzip">', "<script>"}
    for tag in ("style", "script"):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_and_does_nothing(
    invented: Callable[..., GateRecord], spoiled: Spoiler, unpacked: Unpacker, text: str
) -> None:
    page = render_report(spoiled(invented(orders=4, probes=4, lost=1), text))
    reader = assert_inert(page)
    assert visible(text) in "".join(reader.data)
    assert len(re.findall("<script>", page)) == 1
    index, details = unpacked(page)
    assert details[0]["turns"][0][1] == visible(text)
    said = json.dumps([index, details], ensure_ascii=False)
    assert not any(hidden in said for hidden in HIDDEN)
    assert not any(hidden in page for hidden in HIDDEN)


def test_markup_in_a_text_reads_as_it_was_written(
    invented: Callable[..., GateRecord], spoiled: Spoiler, unpacked: Unpacker
) -> None:
    """Escaped once, not twice: an answer of &lt; is not the same as one of <."""
    page = render_report(spoiled(invented(orders=4, probes=4), "a &lt; b < c"))
    assert html.escape("a &lt; b < c") in page
    assert "&amp;amp;" not in page
    assert unpacked(page)[1][0]["turns"][0] == ["system", "a &lt; b < c"]


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet=st.characters(), max_size=40) | st.text("<>&\"'/=-! \nascriptonx", max_size=40))
def test_no_text_becomes_markup(small: GateRecord, spoiled: Spoiler, text: str) -> None:
    assert_inert(render_report(spoiled(small, text)))


@pytest.fixture(scope="module")
def small(invented: Callable[..., GateRecord]) -> GateRecord:
    return invented(orders=3, probes=2, both_fail=0)


def test_huge_texts_keep_the_page_small(
    invented: Callable[..., GateRecord], spoiled: Spoiler, unpacked: Unpacker
) -> None:
    page = render_report(spoiled(invented(orders=4, probes=4), "<wide> " * 300_000))
    assert len(page) < 2_000_000
    assert unpacked(page)[1][0]["turns"][0][2] > 2_000_000


def test_a_thousand_cases_are_two_megabytes_at_most(invented: Callable[..., GateRecord]) -> None:
    page = render_report(invented(orders=900, probes=100, lost=60, gained=20))
    assert len(page.encode()) <= 2_000_000


def test_ten_thousand_cases_are_all_there_in_ten_megabytes(
    invented: Callable[..., GateRecord], unpacked: Unpacker
) -> None:
    record = invented(orders=9_000, probes=1_000, lost=600, gained=20)
    page = render_report(record)
    assert len(page.encode()) <= 10_000_000
    index, details = unpacked(page)
    assert len(index["cases"]) == len(details) == 10_000
    assert all(one["candidate"]["text"] for one in details)


@pytest.mark.parametrize("cases", [1_000])
def test_texts_that_hardly_compress_are_cut_until_they_fit(
    invented: Callable[..., GateRecord], unpacked: Unpacker, cases: int
) -> None:
    """Random letters: nothing repeats, so the limit of the texts has to fall."""
    record = invented(orders=cases, probes=0)
    pick = random.Random(0)
    results = tuple(
        replace(
            result,
            completion=Completion(
                text="".join(pick.choices(string.printable, k=5_000)),
                stop_reason="length",
                prompt_tokens=1,
                completion_tokens=1,
                latency_s=1,
            ),
        )
        for result in record.run.results
    )
    page = render_report(replace(record, run=replace(record.run, results=results)))
    assert len(page.encode()) <= 2_000_000
    assert len(unpacked(page)[1]) == cases
    assert "texts are cut after" in page


def test_the_same_record_gives_the_same_page(invented: Callable[..., GateRecord]) -> None:
    record = invented(lost=3)
    assert render_report(record) == render_report(record)
