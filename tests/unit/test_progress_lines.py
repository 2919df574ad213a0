"""Progress: a bar on a terminal, plain lines elsewhere, always on standard error."""

import io
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.cli.base import echo, tell
from voxtune.progress import Said, progress
from voxtune.progress import note as progress_note


class Terminal(io.StringIO):
    """A standard error that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def work(notes: list[str]) -> None:
    with progress("Reading", len(notes)) as advance:
        for note in notes:
            advance(note)


def test_plain_lines_come_at_intervals_and_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    work(["a", "b", ""])
    assert capsys.readouterr().err == "Reading: 3/3, 0 s\n"
    monkeypatch.setattr("voxtune.progress.LINE_EVERY_SECONDS", 0.0)
    work(["a", "b"])
    said = capsys.readouterr()
    assert said.err == "Reading: 1/2, 0 s, a\nReading: 2/2, 0 s, b\n"
    assert said.out == ""


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    work(["first.nii", "last.nii"])
    assert "Reading" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()
    assert "last.nii" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_quiet_leaves_the_result_and_verbose_says_every_step(tmp_path: Path) -> None:
    run = CliRunner().invoke
    simulate = ["simulate", "--participants", "2", "--visits", "1"]
    for place, words in enumerate((["--quiet", *simulate], [*simulate, "--quiet"])):
        out = run(main, [*words, str(tmp_path / str(place))])
        assert out.exit_code == 0, out.output
        assert out.stderr == ""
        assert out.stdout.startswith("SIMULATED cohort")
    loud = run(main, [*simulate, str(tmp_path / "loud"), "--verbose"])
    assert loud.stderr.count("Simulating:") == 2
    assert run(main, [*simulate, str(tmp_path / "x"), "--verbose", "--quiet"]).exit_code == 2
    failed = run(main, ["info", "recipe", "nothing", "--verbose"])
    assert failed.exit_code == 2
    assert "Traceback" in failed.stderr
    failed = run(main, ["--quiet", "info", "recipe", "nothing"])
    assert "Traceback" not in failed.stderr
    assert "No recipe named 'nothing'" in failed.stderr, "errors are said however quiet"


def test_quiet_is_for_notes_on_either_stream(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Said, "loudness", "quiet")
    progress_note("a note")
    tell("a line")
    echo("on the way", err=True)
    echo("the result")
    assert capsys.readouterr() == ("the result\n", "")
    monkeypatch.setattr(Said, "loudness", "normal")
    tell("a line")
    assert capsys.readouterr().out == "a line\n"


def test_a_log_has_what_is_said_with_its_time_also_when_quiet(tmp_path: Path) -> None:
    log = tmp_path / "day.log"
    run = CliRunner().invoke
    out = str(tmp_path / "cohort")
    done = run(main, ["simulate", out, "--participants", "1", "--visits", "1", "--quiet", "--log", str(log)])
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    run(main, ["split", f"{out}/manifest.tsv", f"--log={log}", "-o", out])  # one person cannot be cut
    lines = log.read_text(encoding="utf-8").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00 ", line) for line in lines)
    text = "\n".join(lines)
    assert re.search(r"voxtune [\d.]+: ", lines[0])
    assert "Simulating: 1/1" in text
    assert "voxtune simulate: done" in text
    assert "voxtune split: 1 participants cannot be cut" in text
    assert log.stat().st_mode & 0o077 == 0, "a log may name scans"
    assert "VOXTUNE_LOG" in run(main, ["--help"]).output
    named = run(main, ["info"], env={"VOXTUNE_LOG": str(tmp_path / "other.log")})
    assert named.exit_code == 0
    assert (tmp_path / "other.log").is_file()


def test_a_log_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = CliRunner().invoke(main, ["info", "--log", str(tmp_path / "file" / "day.log")])
    assert done.exit_code == 3, done.output
    Said.log = None


def test_a_bar_leaves_its_end_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(Said, "log", tmp_path / "day.log")
    work(["a", "b"])
    assert "Reading: 2, 0 s" in (tmp_path / "day.log").read_text()
