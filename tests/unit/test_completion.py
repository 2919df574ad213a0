"""The Tab key: a shell that asks gets commands and options."""

import pytest
from click.testing import CliRunner

from voxtune.cli import main


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("voxtune tr", {"train"}),
        ("voxtune train --cho", {"--choose"}),
        ("voxtune describe m.tsv --missing ", {"omit", "unavailable"}),
        ("voxtune --", {"--quiet", "--verbose", "--log", "--version", "--help"}),
    ],
)
def test_a_shell_is_told_what_may_follow(words: str, wanted: set[str]) -> None:
    asked = {"_VOXTUNE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = CliRunner().invoke(main, [], prog_name="voxtune", env=asked)
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == wanted


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.shell_completion import BashComplete

    monkeypatch.setattr(
        BashComplete, "_check_version", lambda *_: None
    )  # asks for a bash, which a test host may not have
    done = CliRunner().invoke(main, [], prog_name="voxtune", env={"_VOXTUNE_COMPLETE": f"{shell}_source"})
    assert done.exit_code == 0
    assert "_VOXTUNE_COMPLETE" in done.stdout
