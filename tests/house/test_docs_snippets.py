"""What a reader can paste is run by a test, or says in the page why not."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(?P<marks>(?:^<!--[^\n]*-->\n+)*)^```(?P<language>[\w-]*)", re.MULTILINE)
PASTED = {"sh", "bash", "shell", "console", "python", "py"}
KNOWN = {*PASTED, "", "text", "json", "math", "yaml", "toml", "jinja", "tsv", "html"}


def pages() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def problems(name: str, text: str, root: Path = ROOT) -> list[str]:
    """Marks without a reason, marks that lie, languages nobody runs."""
    found = []
    opened = False
    for one in BLOCK.finditer(text):
        opened = not opened  # fences come in pairs; the closing one has no language
        if not opened:
            continue
        if one["language"] not in KNOWN:
            found.append(f"{name}: language '{one['language']}' is not known to the snippet test")
        reason = re.search(r"<!-- not run:(.*?)-->", one["marks"])
        if reason and len(reason[1].strip()) < 10:
            found.append(f"{name}: a block is not run and does not say why")
    for test in re.findall(r"<!--[^>]*run by (tests/[\w/]+\.py)", text):
        path = root / test
        if not path.is_file() or Path(name).name not in path.read_text(encoding="utf-8"):
            found.append(f"{name}: says it is run by {test}, which does not name it")
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_marks_are_true(page: Path) -> None:
    assert problems(str(page.relative_to(ROOT)), page.read_text(encoding="utf-8")) == []


def test_what_is_wrong_is_found() -> None:
    assert len(problems("a.md", "<!-- not run: -->\n```sh\nx\n```\n")) == 1
    assert len(problems("a.md", "<!-- the commands are run by tests/none.py -->\n```sh\nx\n```\n")) == 1
    assert len(problems("a.md", "```pyhton\nx\n```\n")) == 1
    assert (
        problems("a.md", "<!-- not run: needs ADNI's images -->\n```sh\nx\n```\n\n```json\n{}\n```\n") == []
    )
