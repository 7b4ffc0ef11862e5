"""XML answers."""

import pytest

BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'
FILE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>'


@pytest.mark.parametrize(
    ("text", "paths", "value_is"),
    [
        ("<a/>", None, 1),
        ("\n <a>x</a> \n", None, 1),
        ('<?xml version="1.0" encoding="UTF-8"?><a>é</a>', None, 1),
        ("<a><!-- c --><?p x?><b><c/></b></a>", ["a.b.c"], 1),
        ("<a><b/><b><c/></b></a>", ["a.b.c", "a.b"], 1),
        ('<n:a xmlns:n="u"><n:b/></n:a>', ["a.b"], 1),
        ("<a><b/></a>", ["a.c"], 0),
        ("<a><b/></a>", ["b"], 0),
        ("<a>", None, 0),
        ("<a></a><b></b>", None, 0),
        ("Here: <a/>", None, 0),
        ("```xml\n<a/>\n```", None, 0),
        ("<a>&nbsp;</a>", None, 0),
        (BOMB, None, 0),
        (FILE, None, 0),
        ("<a>\ud800</a>", None, 0),
        ("<a>\x00</a>", None, 0),
        ("", None, 0),
        ("text", None, 0),
        (
            "\ufeff<?xml version='1.0' encoding='utf-16'?>\n<!DOCTYPE a [<!ELEMENT a EMPTY>]><!-- c --><a/>\n",
            ["a"],
            1,
        ),
        (" \n<a/>", None, 1),
        ("\n<?xml version='1.0'?><a/>", None, 0),
        ("\u00a0<a/>", None, 0),
        ("<a/>\u2028", None, 0),
    ],
)
def test_only_whole_well_formed_answers_pass(score, text, paths, value_is):
    assert score("is-xml", text, value=paths).value == value_is
