"""The page of a learning curve: scores by the number of training scans, the model beside what it must beat."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from voxtune.pages.layout import render
from voxtune.pages.print_files import (
    COLOURS,
    DASHES,
    FIGURES,
    GREY,
    MARKS,
    Draw,
    clear_prints,
    write_figure,
    write_print_table,
)
from voxtune.pages.score_labels import HeadlineScale
from voxtune.pages.task_words import WORDS, baseline_name, headline_scale
from voxtune.run_dir import write_text
from voxtune.types.records import OverRuns

COLUMNS = ("training scans", "training participants", "model", "mean", "sd", "seeds")
OWN = "model"
DRAWN = ("model", "linear_probe", "volumes", "mmse", "age_sex")
"""What the figure shows; the table has everything."""


def write_curve_page(folder: Path, content: dict[str, Any]) -> None:
    """Write figure, tables and page; the texts of the scores are added to ``content``.

    Args:
        folder: of the curve.
        content: what ``curve.json`` will say.
    """
    scale = headline_scale(content["score"], content["task"])
    content["title"] = scale.title
    for size in content["sizes"]:
        for one in size["models"].values():
            one["text"] = scale.spread(OverRuns(one["mean"], one["sd"], one["n_seeds"], len(one["each"])))
    clear_prints(folder)
    names = list(dict.fromkeys(name for size in content["sizes"] for name in size["models"]))
    labels = {name: _label(name, content) for name in names}
    axis = f"{scale.title}, {scale.unit.strip()}" if scale.unit else scale.title
    if names:
        write_figure(folder, "curve", _draw(content, labels, scale, axis), simulated=content["simulated"])
    rows = [
        {"training scans": size["n_train"], "training participants": size["n_train_participants"], "model": labels[name],
         "mean": one["mean"], "sd": one["sd"], "seeds": one["n_seeds"]}
        for size in content["sizes"]
        for name, one in size["models"].items()
    ]  # fmt: skip
    caption = (
        f"{scale.title} on {content['n_test']} test scans of {content['n_test_participants']} participants by the number of training scans; "
        "mean and standard deviation over seeds, each with its own nested subsets."
    )
    if not names:
        caption += f" Not defined: {WORDS[content['task']].undefined}."
    write_print_table(folder, "curve", COLUMNS, rows, caption=caption, simulated=content["simulated"])
    svg = folder / FIGURES / "curve.svg"
    drawn = svg.read_text(encoding="utf-8").partition("<svg")[2] if svg.is_file() else ""
    context = {
        "content": content,
        "labels": labels,
        "caption": caption,
        "figure": Markup(f"<svg{drawn}") if drawn else None,  # noqa: S704  drawn by matplotlib of numbers and our own labels
    }
    write_text(
        folder / "page.html",
        render("curve_page.html.j2", context, title=f"Learning curve of {content['recipe']}", simulated=content["simulated"]),
    )  # fmt: skip


def _label(name: str, content: Mapping[str, Any]) -> str:
    return str(content["recipe"]) if name == OWN else baseline_name(name, content["task"])


def _draw(content: Mapping[str, Any], labels: Mapping[str, str], scale: HeadlineScale, axis: str) -> Draw:
    sizes: Sequence[Mapping[str, Any]] = content["sizes"]

    def draw(axes: Any) -> None:
        for number, name in enumerate(one for one in DRAWN if one in labels):
            known = [(size["n_train"], size["models"][name]) for size in sizes if name in size["models"]]
            colour = COLOURS[number] if number < 2 else GREY
            xs = [count for count, _ in known]
            means = [scale.factor * one["mean"] for _, one in known]
            axes.plot(
                xs, means, color=colour, linestyle=DASHES[number], marker=MARKS[number], label=labels[name], zorder=9 - number
            )  # fmt: skip
            if number < 2:
                for count, one in known:
                    dots = [scale.factor * value for value in one["each"].values() if value is not None]
                    axes.plot([count] * len(dots), dots, ".", color=colour, alpha=0.4, markersize=3)
        axes.set_xscale("log")
        ticks = sorted({size["n_train"] for size in sizes})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set(xlabel="training scans", ylabel=axis)
        axes.figure.legend(loc="outside lower center", ncols=2)

    return draw
