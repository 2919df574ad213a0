"""The documentation site builds with warnings as errors, asks nothing of any network, and holds what it promises."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FETCHED = re.compile(
    r"<(?:script|img|iframe|source|video)[^>]*\ssrc=[\"'](?:https?:)?//|<link[^>]*rel=[\"'](?:stylesheet|icon|preload)[\"'][^>]*href=[\"'](?:https?:)?//"
    r"|@import\s+url\((?:https?:)?//|url\([\"']?(?:https?:)?//",
    re.IGNORECASE,
)
"""What a browser would fetch by itself; links that a person clicks are not meant."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, unmeasured: dict[str, str]) -> Path:
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, env={**unmeasured, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    written = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    made = {
        Path("reference") / f"{name}.html"
        for name in ("command-line", "options", "python", "settings", "catalogue", "manifest")
    }
    assert [str(page) for page in sorted(written | made) if not (site / page).is_file()] == []


def test_no_page_asks_a_network(site: Path) -> None:
    found = [
        f"{path.relative_to(site)}: {hit[0]}"
        for path in [*site.rglob("*.html"), *site.rglob("*.css")]
        for hit in [FETCHED.search(path.read_text(encoding="utf-8"))]
        if hit
    ]
    assert found == []
    assert FETCHED.search('<script src="https://cdn.example.org/x.js">')
    assert not FETCHED.search('<a href="https://arxiv.org">')


def test_search_works_from_a_disk(site: Path) -> None:
    """The index is a script and the worker a frame, since a page from a disk may fetch nothing; in a browser where there is one."""
    assert "leakage" in (site / "search" / "search_index.js").read_text(encoding="utf-8")
    pages = [page for page in site.rglob("*.html") if 'id="__config"' in page.read_text(encoding="utf-8")]
    assert len(pages) > 100
    assert [
        page.name for page in pages if "builder/iframe-worker.js" not in page.read_text(encoding="utf-8")
    ] == []
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium")
    shown = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom", f"{(site / 'how-to/adni.html').as_uri()}?q=leakage"],
        capture_output=True, encoding="utf-8", check=True, timeout=120,
    ).stdout  # fmt: skip
    found = re.search(r"(\d+) matching documents", shown)
    assert found is not None
    assert int(found[1]) > 3


def test_the_method_has_fifteen_equations_and_their_figures(site: Path) -> None:
    page = (site / "concepts/method.html").read_text(encoding="utf-8")
    labels = re.findall(r'<div class="equation"><svg role="img" aria-label="([^"]*)"', page)
    assert [int(re.search(r"\((\d+)\)$", one)[1]) for one in labels] == list(range(1, 16))  # type: ignore[index]
    assert page.count('<figure class="drawn"><svg') == (ROOT / "docs/concepts/method.md").read_text(
        encoding="utf-8"
    ).count("<!-- figure:")


def test_the_house_is_that_of_the_code(site: Path) -> None:
    page = (site / "house.html").read_text(encoding="utf-8")
    rooms = {
        path.stem
        for path in (ROOT / "src/voxtune").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    } - {"__init__"}
    assert set(re.findall(r'id="room-(\w+)"', page)) == rooms
    tops = {name: float(y) for name, y in re.findall(r'id="room-(\w+)"><title>.*?y="([\d.]+)"', page)}
    arrows = re.findall(r"from-(\w+) to-(\w+)\" marker", page)
    assert len(arrows) > 50
    assert [pair for pair in arrows if tops[pair[0]] >= tops[pair[1]]] == []


def test_the_reference_is_that_of_the_code(site: Path) -> None:
    import voxtune
    from voxtune.catalog import TABLES
    from voxtune.cli import main
    from voxtune.types.records import MANIFEST_COLUMNS

    def text(page: str) -> str:
        return (site / "reference" / page).read_text(encoding="utf-8")

    assert [name for name in main.commands if f"voxtune {name}" not in text("command-line.html")] == []
    options = text("options.html")
    rows = re.findall(r"<tr>\n<td>([\w-]+)</td>\n<td><code>([^<]+)</code></td>", options)
    spelled = {(name, word.strip()) for name, words in rows for word in words.split(",")}
    asked = {
        (name, one)
        for name, command in main.commands.items()
        for param in command.params
        for one in param.opts
        if one.startswith("-")
    }
    assert asked <= spelled
    assert [
        name
        for name in voxtune.__all__
        if name != "__version__" and f"voxtune.{name}" not in text("python.html")
    ] == []
    assert [
        column
        for column in MANIFEST_COLUMNS
        if f"<code>{column}</code></td>\n<td></td>" in text("manifest.html")
    ] == []
    names = {f"{plural}-{name}" for plural, table in TABLES.items() for name in table}
    assert names <= set(re.findall(r'id="([\w-]+)"', text("catalogue.html")))
