"""The bundled passages are whole texts, each under a title of its own."""

from harness.run.workload import load_passages


def test_each_passage_is_one_text_without_the_files_line_breaks():
    passages = load_passages()
    assert len(passages) > 10
    for title, text in passages.items():
        assert title.strip() == title != ""
        assert text.strip() == text
        assert len(text.split()) >= 50
        assert "\n" not in text
        assert "  " not in text
        assert not text.startswith("#")
