"""Progress: a bar on a terminal, plain lines elsewhere, always on standard error."""

import io
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
