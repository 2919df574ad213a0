"""Every command that a page or a message prints is one that the command line takes, and says which test runs it or why none does."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from voxtune.cli import main

ROOT = Path(__file__).resolve().parents[2]


def builder(name: str) -> ModuleType:
    """A script of ``docs/builder``."""
    spec = importlib.util.spec_from_file_location(f"builder_{name}", ROOT / "docs" / "builder" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


printed = builder("printed")
PAGES = [page for page in printed.pages() if "voxtune" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_are_taken(page: Path) -> None:
    wrong = [f"{one.line}: {said}" for one in printed.printed(page) if (said := printed.refusal(one.words))]
    text = page.read_text(encoding="utf-8")
    if (
        page.name != "CHANGELOG.md" and page.parent.name != "decisions"
    ):  # which name what is gone or was not taken
        wrong += [
            f"{words}: {said}"
            for words in printed.inline(text, "`")
            if (said := printed.unknown_options(words[0], words[1:]))
        ]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_are_run_or_say_why_not(page: Path) -> None:
    assert [one.line for one in printed.printed(page) if not one.run] == [], (
        "A block that a reader pastes is `sh`, `bash` or `console`, and is run, or says <!-- not run: WHY -->."
    )


def test_the_commands_that_messages_print_are_taken() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {' '.join(words)}: {said}"
        for path in sorted((ROOT / "src").rglob("*"))
        if path.suffix in {".py", ".j2", ".html"}
        for text in [path.read_text(encoding="utf-8")]
        for quote in ("'", "`", "``")
        for words in printed.inline(text, quote)
        if (said := printed.unknown_options(words[0].rstrip(".,;:"), words[1:]))
    ]
    assert wrong == []


def test_every_option_says_what_it_does() -> None:
    silent = [
        f"{name} {one.opts[0]}"
        for name, command in main.commands.items()  # type: ignore[attr-defined]
        for one in command.params
        if isinstance(one, click.Option) and not one.help
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("train deft -o run --dta m.tsv", "No such option"),
        ("train deft", "Missing option"),
        ("tarin deft -o run", "no command"),
        ("simulate out --participants many", "not a valid integer"),
        ("train RECIPE ... --splt FOLDS", "no option --splt"),
    ],
)
def test_what_is_wrong_is_found(line: str, why: str) -> None:
    assert why in printed.refusal(line.split())


def test_commands_are_found_in_shell_lines() -> None:
    code = "$ VOXTUNE_HOME=x voxtune info --json | head\n# voxtune no\nfor i in 1; do echo voxtune; done\nvoxtune train deft \\\n  --choose 'a=1|2' -o r && voxtune evaluate r\n"
    assert list(printed.commands(code)) == [
        ("info", "--json"), ("train", "deft", "--choose", "a=1|2", "-o", "r"), ("evaluate", "r"),
    ]  # fmt: skip
    assert list(printed.inline("see `voxtune split M [--folds K]` and `voxtune`", "`")) == [
        ["split", "M", "--folds", "K"]
    ]
