"""Progress: a bar on a terminal, plain lines elsewhere, always on standard error."""

import io
import sys

import pytest

from voxtune.progress import progress


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
