"""The commands that the pages and the messages print: which of them a test runs, which not and why, and whether the command line takes them."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"(?P<marks>(?:^<!--[^\n]*-->\n+)*)^```(?P<language>[\w-]*)[^\n]*\n(?P<code>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
SNIPPETS = "tests/e2e/test_snippets.py"
"""Runs every shell block that says nothing else; it knows what each page starts from."""
ENDS = {"|", "||", "&", "&&", ";", "<", ">", ">>", "<<"}
EVERYWHERE = {"--quiet", "--verbose", "-h", "--help", "--version"}
SHOWN = re.compile(r"\.\.\.|…|[\[{<$]")
"""Marks of a line that shows the form of a command and is no command to paste."""


@dataclass(frozen=True)
class Printed:
    """A command line of a page."""

    page: str
    words: tuple[str, ...]
    """Without ``voxtune``."""
    run: str
    """Which test runs it, or why none does; empty where the page does not say."""

    @property
    def line(self) -> str:
        """As a person types it."""
        return shlex.join(("voxtune", *self.words))


def pages() -> list[Path]:
    """Every page a reader may paste from."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def printed(page: Path) -> list[Printed]:
    """The commands in the blocks of a page."""
    text, name = page.read_text(encoding="utf-8"), str(page.relative_to(ROOT))
    whole = re.search(r"<!--[^>]*?run by (tests/[\w/]+\.py)", text)
    found = []
    for block in BLOCK.finditer(text):
        for words in commands(block["code"]):
            reason = re.search(r"<!-- not run: *(.*?) *-->", block["marks"])
            if reason:
                run = f"not run: {reason[1]}"
            elif whole:
                run = whole[1]
            else:
                run = SNIPPETS if block["language"] in {"sh", "bash", "shell", "console"} else ""
            found.append(Printed(name, words, run))
    return found


def commands(code: str) -> Iterator[tuple[str, ...]]:
    """The words behind each ``voxtune`` of some shell lines."""
    for line in code.replace("\\\n", " ").splitlines():
        if "voxtune" not in line:
            continue
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a quotation that other lines end
            continue
        part: list[str] = []
        for word in [*words, ";"]:
            if word not in ENDS:
                part.append(word)
                continue
            while part and ("=" in part[0] or part[0] == "srun"):
                part.pop(0)
            if part[:1] == ["voxtune"]:
                yield tuple(part[1:])
            part = []


def refusal(words: Sequence[str]) -> str | None:
    """Why the command line does not take these words; ``None`` where it does. Nothing is run."""
    from voxtune.cli import main

    own = [word for word in words if word not in EVERYWHERE]
    if not own:
        return None
    name, *rest = own
    if name not in main.commands:
        return f"there is no command '{name}'"
    if SHOWN.search(" ".join(rest)):
        return unknown_options(name, rest)
    try:
        main.commands[name].make_context(name, rest)
    except click.ClickException as error:
        return error.format_message()
    return None


def unknown_options(name: str, words: Sequence[str]) -> str | None:
    """The first word that looks like an option and is none of the command."""
    from voxtune.cli import main

    if name not in main.commands:
        return f"there is no command '{name}'"
    known = {spelling for one in main.commands[name].params for spelling in (*one.opts, *one.secondary_opts)}
    for word in words:
        option = re.match(r"-{1,2}[a-z][\w-]*", word)
        if option and option[0] not in known | EVERYWHERE:
            return f"'{name}' has no option {option[0]}"
    return None


def inline(text: str, quote: str) -> Iterator[list[str]]:
    """The words of every ``voxtune COMMAND ...`` between quotation marks in running text."""
    for found in re.findall(rf"{quote}voxtune ([a-z][^{quote}\n]*){quote}", text):
        yield found.replace("[", " ").replace("]", " ").split()
