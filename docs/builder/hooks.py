"""What MkDocs calls: adds the pages that are made of code, draws equations and figures into the others, orders the navigation."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dependencies
import drawing
import house_figure
import method_figures
import quality
import reference
import training_figures
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
FIGURES: dict[str, Callable[[], str]] = {
    name: make
    for module in (method_figures, house_figure, dependencies, quality, training_figures)
    for name, make in module.FIGURES.items()
}
SECTIONS = {
    "Tutorial": ("tutorial",),
    "How to": ("how-to",),
    "Concepts": ("concepts",),
    "Reference": ("reference",),
    "Decisions": ("decisions",),
}
FIRST = {
    "tutorial": ["simulated-people", "real-scans"],
    "how-to": ["install", "deft-on-m3d", "medct-on-ct-clip", "adni", "oasis2", "aibl", "ct-rate", "own-bids", "predict", "explain", "similar-cases", "serve", "drift", "offline-hospital", "slurm", "dask", "reproduce"],
    "concepts": ["method", "leakage", "zero-shot", "evaluation", "guarantees", "explanations", "chest-ct", "demo-results", "reproduced-tables", "same-bits", "training-cost"],
    "reference": ["command-line", "options", "python", "settings", "catalogue", "manifest", "files"],
}  # fmt: skip
"""Pages in the order people need them; what is not named follows by name."""
ALONE = ("beware", "glossary", "house", "licences", "changelog")


def on_config(config: Any) -> Any:
    """The navigation: every page of every section, so that none can be forgotten."""
    docs = Path(config.docs_dir)
    made = set(reference.PAGES)
    nav: list[Any] = [{"Home": "index.md"}]
    for title, (folder,) in SECTIONS.items():
        names = {path.stem for path in (docs / folder).glob("*.md")} | {
            Path(one).stem for one in made if one.startswith(f"{folder}/")
        }
        order = [name for name in FIRST.get(folder, []) if name in names]
        nav.append({title: [f"{folder}/{name}.md" for name in [*order, *sorted(names - set(order))]]})
    nav.append({"More": [f"{name}.md" for name in ALONE]})
    config.nav = nav
    return config


def on_files(files: Files, config: Any) -> Files:
    """The pages that exist only as code."""
    for name, make in reference.PAGES.items():
        files.append(File.generated(config, name, content=make()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Equations (```` ```math ```` blocks, which GitHub shows too) and ``<!-- figure: NAME -->`` drawn into the page."""
    markdown = re.sub(
        r"^```math\n(.*?)^```$",
        lambda found: drawing.equation(found[1]),
        markdown,
        flags=re.DOTALL | re.MULTILINE,
    )
    return re.sub(
        r"^<!-- figure: ([\w-]+) -->$", lambda found: _figure(found[1], page), markdown, flags=re.MULTILINE
    )


def _figure(name: str, page: Any) -> str:
    if name not in FIGURES:
        raise ValueError(f"{page.file.src_uri}: no figure '{name}'; known: {', '.join(FIGURES)}.")
    return f'<figure class="drawn">{FIGURES[name]()}</figure>'
