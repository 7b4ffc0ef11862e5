"""The bundled passages are whole texts, each under a title of its own."""

from collections import Counter

from harness.run.workload import load_passages


def of_prose(passages):
    return {title: text for title, text in passages.items() if "/" not in title}


def test_each_passage_of_prose_is_one_text_without_the_files_line_breaks():
    prose = of_prose(load_passages())
    assert len(prose) > 10
    for title, text in prose.items():
        assert title.strip() == title != ""
        assert text.strip() == text
        assert len(text.split()) >= 50
        assert "\n" not in text
        assert "  " not in text
        assert not text.startswith("#")


def test_other_kinds_are_code_dialogue_and_four_languages():
    passages = load_passages()
    kinds = Counter(title.partition("/")[0] for title in passages if "/" in title)
    assert kinds == dict.fromkeys(["code", "dialogue", "german", "french", "spanish", "chinese"], 4)
    # No longer than the longest prose, so that no model's context is too short for them alone.
    longest = max(len(text.encode()) for text in of_prose(passages).values())
    for title, text in passages.items():
        assert text.strip() == text
        assert 300 <= len(text.encode()) <= longest, title
    assert "\n    int value;\n" in passages["code/a linked list"]
    assert len(set(passages.values())) == len(passages)
