"""The demo on a smaller cohort: its page is one offline file, says SIMULATED, and every figure in it is in its JSON."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.commands import demo as stage
from voxtune.errors import UsageError

FIXED = {"1", "2", "3", "4", "5", "95", "100"}
"""Section numbers and words of the template: '95% interval'."""


class Words(HTMLParser):
    """The text a person sees, without style sheets, commands and the footer; and every address it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.addresses: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in {"style", "pre", "footer", "code"}
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in {"style", "pre", "footer", "code"}

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.text.append(data)


def numbers_of(value: Any) -> Iterator[float]:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, dict):
        for one in value.values():
            yield from numbers_of(one)
    elif isinstance(value, list):
        yield float(len(value))
        yield float(len(value) - 1)
        for one in value:
            yield from numbers_of(one)


def told(number: str, known: list[float]) -> bool:
    """Whether some known number, or its percentage, rounds to this one."""
    digits = len(number.partition(".")[2])
    return any(f"{scale * one:.{digits}f}" == number for one in known for scale in (1, 100))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # what its workers do is measured elsewhere
        patch.setattr(stage, "PARTICIPANTS", 33)
        patch.setattr(stage, "VISITS", 1)
        patch.setattr(stage, "RAW_HEADS", 1)
        out = tmp_path_factory.mktemp("demo") / "out"
        (out / "run").mkdir(parents=True)
        for name in (stage.MARK, "run/stale.txt", "notes.txt"):  # an older demo, and a file of the user
            (out / name).write_text("{}", encoding="utf-8")
        said = CliRunner().invoke(main, ["demo", str(out), "--seed", "1"])
    assert said.exit_code == 0, said.output
    assert said.output.splitlines()[-1] == f"The page: {out / 'page.html'}"
    return out


@pytest.mark.slow
def test_every_number_on_the_page_is_in_the_json(made: Path) -> None:
    words = Words()
    words.feed((made / "page.html").read_text(encoding="utf-8"))
    text = " ".join(words.text)
    assert "SIMULATED" in text
    assert all(address.startswith("data:image/png") for address in words.addresses)
    facts = json.loads((made / "demo.json").read_text(encoding="utf-8"))
    known = list(numbers_of(facts))
    names = [facts["explanation"]["scan"], *(head["name"] for head in facts["heads"])]
    for name in names:
        text = text.replace(name, "")
    found = set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w])", text)) - FIXED
    assert len(found) > 20
    assert [number for number in found if not told(number, known)] == []


@pytest.mark.slow
def test_a_second_demo_replaces_the_first_and_nothing_else(made: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match="holds files that are no demo"):
        stage.demo(tmp_path)
    assert (tmp_path / "thesis.tex").read_text(encoding="utf-8") == "mine"
    assert not (made / "run" / "stale.txt").exists()
    assert (made / "notes.txt").is_file()
    assert (made / "run" / "page.html").is_file()
    assert (made / "heads" / "page.html").is_file()
    assert len(list((made / "predictions").glob("real-head-*.html"))) == 1
