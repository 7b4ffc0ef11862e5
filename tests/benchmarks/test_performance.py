"""What is kept of a measurement."""

import json

from benchmarks.performance import Store, revision


def test_the_page_names_the_commits_of_our_own_rows(tmp_path):
    kept, page = tmp_path / "kept.json", tmp_path / "page.md"
    for row in ("64 distinct/bare loop", "64 distinct/tunegate", "64 distinct/tunegate"):
        Store(kept, page, again=False).keep("speed", row, {"wall_s": 2.0, "load": 0.1})
    rows = json.loads(kept.read_text())["speed"]["rows"]
    assert "versions" not in rows["64 distinct/bare loop"]
    assert rows["64 distinct/tunegate"]["versions"] == [revision()]
    assert f"1 to 2 runs of each row; our code at {revision()}." in page.read_text()
