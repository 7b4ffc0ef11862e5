"""A report is written whole or not at all, and a path that can't be written is refused early."""

import os
from pathlib import Path

import pytest

from harness.errors import SettingsError
from reports.files import check_writable, refuse_shared, write_report
from reports.html import render_report
from reports.json_file import render_json
from reports.markdown import render_markdown
from tests.reports.invented_gates import make_record

OLD = "<!-- tunegate: an earlier report -->"


def test_missing_directories_are_made(tmp_path: Path) -> None:
    path = write_report(tmp_path / "a" / "b" / "report.html", "héllo", "--gate-report")
    assert path.read_text(encoding="utf-8") == "héllo"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_replaced_and_is_as_readable_as_any_other(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(OLD)
    plain = tmp_path / "plain"
    plain.touch()
    write_report(path, "new", "--gate-report")
    assert path.read_text() == "new"
    assert path.stat().st_mode == plain.stat().st_mode


def test_when_writing_fails_the_old_file_stays_and_no_part_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text(OLD)

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SettingsError, match=r"--gate-report: .*report\.html can't be written: No space left"):
        write_report(path, "new", "--gate-report")
    assert path.read_text() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_paths_that_can_not_become_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"--gate-json: .* is a directory"):
        check_writable(tmp_path, "--gate-json")
    with pytest.raises(SettingsError, match=r"is below .*file, which is not a directory"):
        check_writable(tmp_path / "file" / "report.html", "--gate-json")
    with pytest.raises(SettingsError, match="is a device, not a file"):
        check_writable(Path(os.devnull), "--gate-json")
    with pytest.raises(SettingsError, match="can't be written"):
        check_writable(tmp_path / ("x" * 300), "--gate-json")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(SettingsError, match="no permission"):
        check_writable(tmp_path / "locked" / "report.html", "--gate-json")


def test_a_new_file_and_an_existing_one_are_accepted(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "report.html", "--gate-report")
    (tmp_path / "old.html").touch()
    check_writable(tmp_path / "old.html", "--gate-report")
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no file system without files")
def test_a_file_system_that_takes_no_files_is_refused_even_for_root() -> None:
    with pytest.raises(SettingsError, match=r"--gate-report: /proc/x can't be written: .* in /proc"):
        check_writable(Path("/proc/x"), "--gate-report")


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "report.html", "--gate-report")
    assert list(tmp_path.iterdir()) == []


FOREIGN = {
    "golden.yaml": "name: g\ncases: []\n",
    "adapter_config.json": '{"peft_type": "LORA"}',
    "history.sqlite": "SQLite format 3\0",
    "page.html": "<!doctype html>\n<title>mine</title>",
    "README.md": "# Mine\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_no_report_is_written_over_another_file(tmp_path, name):
    path = tmp_path / name
    path.write_text(FOREIGN[name])
    for write in (
        lambda: check_writable(path, "--gate-json"),
        lambda: write_report(path, "x", "--gate-json"),
    ):
        with pytest.raises(
            SettingsError, match=rf"^--gate-json: .*{name} exists and is no report: name another"
        ):
            write()
    assert path.read_text() == FOREIGN[name]


@pytest.mark.parametrize("render", [render_report, render_json, render_markdown])
def test_a_report_is_written_over_an_earlier_one_or_an_empty_file(tmp_path, render):
    path = tmp_path / "report"
    path.touch()
    for _ in range(2):
        check_writable(path, "--gate-report")
        write_report(path, render(make_record()), "--gate-report")


def test_two_reports_never_share_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"^--gate-json: a/\.\./x is also the file of --gate-report"):
        refuse_shared([(tmp_path / "x", "--gate-report"), (Path("a/../x"), "--gate-json")])
    refuse_shared([(Path("x"), "--gate-report"), (Path("y"), "--gate-json")])
