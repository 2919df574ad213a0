"""What of an evaluation goes into a paper: ``figures/`` and ``tables/`` beside its page, from the same facts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxtune.pages.evaluation_facts import ClassFacts, EvaluationFacts, FindingsFacts, TargetFacts
from voxtune.pages.evaluation_page import names_of, scale_of
from voxtune.pages.print_files import (
    COLOURS,
    DASHES,
    GREY,
    MARKS,
    Draw,
    Interval,
    clear_prints,
    height_of,
    intervals,
    write_figure,
    write_print_table,
)
from voxtune.pages.score_labels import COLUMNS, PER_CLASS, HeadlineScale
from voxtune.pages.task_words import baseline_name
from voxtune.types.records import Metric

NUMBERS = ("value", "low", "high", "n_scans", "n_participants")


def write_prints(facts: EvaluationFacts, folder: Path) -> None:
    """Write every figure and table that these facts have numbers for."""
    scale = scale_of(facts)
    clear_prints(folder)
    if facts.metrics:
        _whole(facts, scale, folder)
    if facts.runs:
        _runs(facts, scale, folder)


def _whole(facts: EvaluationFacts, scale: HeadlineScale, folder: Path) -> None:
    name, simulated = names_of(facts).get(facts.headline, facts.headline), facts.simulated
    axis = f"{scale.title}, {scale.unit.strip()}" if scale.unit else scale.title
    about = f"{facts.model} on {facts.cohort} ({facts.kind}); {100 * facts.confidence:g}% intervals over participants."
    rivals = {facts.model: facts.metrics[facts.headline]} | {
        baseline_name(rival, facts.task): some[facts.headline]
        for rival, some in facts.baselines.items()
        if facts.headline in some
    }
    rows = [_interval(label, one, scale) for label, one in rivals.items()]
    write_figure(folder, "baselines", intervals(rows, axis), height=height_of(rows), simulated=simulated)
    _table(folder, "scores", _scores(facts), f"Scores of {about}", simulated=simulated)
    _table(folder, "baselines", [
        {"model": label, "score": name} | _numbers(one) | _against(facts, label)
        for label, one in rivals.items()
    ], f"The model and what it must beat: {about}", simulated=simulated)  # fmt: skip
    if facts.subgroups:
        groups = [
            {"column": COLUMNS.get(one.column, one.column), "value_of_column": one.value, "score": name}
            | _numbers(one.scores[facts.headline])
            for one in facts.subgroups
            if facts.headline in one.scores
        ]
        _table(folder, "subgroups", groups, f"Subgroups: {about}", simulated=simulated)
        lines = [
            _interval(
                f"{COLUMNS.get(one.column, one.column)}: {one.value}", one.scores[facts.headline], scale
            )
            for one in facts.subgroups
            if facts.headline in one.scores
        ]
        write_figure(folder, "subgroups", _even(lines, axis), height=height_of(lines), simulated=simulated)
    if isinstance(facts.labels, ClassFacts):
        _classes(facts, facts.labels, folder)
    elif isinstance(facts.labels, FindingsFacts):
        found = [
            _interval(one, facts.metrics[f"auroc/{one}"])
            for one in facts.classes
            if f"auroc/{one}" in facts.metrics
        ]
        write_figure(folder, "findings", _even(found, "AUROC"), height=height_of(found), simulated=simulated)
    for key, target in facts.targets.items():
        if target.points:
            write_figure(folder, f"target_{key}", _scatter(target, facts), simulated=simulated)


def _even(rows: list[Interval], axis: str) -> Draw:
    """Intervals of which none is the first."""

    def draw(axes: Any) -> None:
        intervals(rows, axis)(axes)
        for line in axes.lines:
            line.set_color(COLOURS[0])

    return draw


def _interval(label: str, one: Metric, scale: HeadlineScale | None = None) -> Interval:
    factor = scale.factor if scale else 1
    value, low, high = (None if some is None else factor * some for some in (one.value, one.low, one.high))
    return label, value, low, high


def _numbers(one: Metric) -> dict[str, object]:
    return {name: getattr(one, name) for name in NUMBERS}


def _against(facts: EvaluationFacts, label: str) -> dict[str, object]:
    """The model minus a rival, in its row."""
    for rival, one in facts.against.items():
        if baseline_name(rival, facts.task) == label:
            return {
                "model_minus_this": one.difference,
                "difference_low": one.low,
                "difference_high": one.high,
                "p_holm": one.p_holm,
            }
    return {}


def _scores(facts: EvaluationFacts) -> list[dict[str, object]]:
    names = names_of(facts)
    rows = []
    for key, one in facts.metrics.items():
        score, _, of = key.partition("/")
        label = names.get(key) or f"{PER_CLASS.get(score, names.get(score, score))}{f', {of}' if of else ''}"
        rows.append({"name": key, "score": label} | _numbers(one))
    return rows


def _table(folder: Path, name: str, rows: list[dict[str, object]], caption: str, *, simulated: bool) -> None:
    columns = tuple(dict.fromkeys(column for row in rows for column in row))
    write_print_table(folder, name, columns, rows, caption=caption, simulated=simulated)


# ------------------------------------------------------------------------------------------ one class
def _classes(facts: EvaluationFacts, labels: ClassFacts, folder: Path) -> None:
    if labels.roc:
        write_figure(folder, "roc", _roc(facts, labels), simulated=facts.simulated)
    if any(one.count for one in labels.reliability):
        write_figure(folder, "reliability", _reliability(labels), simulated=facts.simulated)
    if labels.confusion:
        write_figure(folder, "confusion", _confusion(facts, labels), simulated=facts.simulated)
        rows: list[dict[str, object]] = [
            {"true class": name}
            | {f"said {said}": int(n) for said, n in zip(facts.classes, row, strict=False)}
            for name, row in zip(facts.classes, labels.confusion, strict=False)
        ]
        _table(
            folder,
            "confusion",
            rows,
            "Scans by true class and by what the model said.",
            simulated=facts.simulated,
        )


def _roc(facts: EvaluationFacts, labels: ClassFacts) -> Draw:
    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.6)
        for name, points in labels.roc.items():
            number = list(facts.classes).index(name)
            area = facts.metrics.get(f"auroc/{name}")
            said = f" ({area.value:.2f})" if area is not None and area.value is not None else ""
            xs, ys = zip(*points, strict=True)
            axes.plot(
                xs, ys, color=_colour(number), linestyle=DASHES[number % len(DASHES)], label=f"{name}{said}"
            )
        axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
        axes.legend(title="against the rest (AUROC)", loc="lower right")

    return draw


def _reliability(labels: ClassFacts) -> Draw:
    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.6)
        most = max(one.count for one in labels.reliability)
        for one in labels.reliability:
            if one.confidence is not None and one.fraction is not None:
                size = 3 + 6 * (one.count / most) ** 0.5
                axes.plot(
                    [one.confidence], [one.fraction], MARKS[0], color=COLOURS[0], markersize=size, alpha=0.7
                )
        axes.set(
            xlabel="probability of the predicted class", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02), aspect="equal"
        )  # fmt: skip

    return draw


def _confusion(facts: EvaluationFacts, labels: ClassFacts) -> Draw:
    def draw(axes: Any) -> None:
        shares = [[n / (sum(row) or 1) for n in row] for row in labels.confusion]
        edges = [place - 0.5 for place in range(len(shares) + 1)]
        axes.pcolormesh(
            edges, edges, shares, cmap="Blues", vmin=0, vmax=1
        )  # cells, not an image: it stays vector
        axes.set(aspect="equal", ylim=(edges[-1], edges[0]))
        for y, row in enumerate(labels.confusion):
            for x, n in enumerate(row):
                colour = "white" if shares[y][x] > 0.6 else "black"
                axes.text(x, y, f"{int(n)}", ha="center", va="center", color=colour)
        names, places = list(facts.classes), range(len(facts.classes))
        axes.set_xticks(places, names)
        axes.set_yticks(places, names)
        axes.grid(visible=False)
        axes.set(xlabel="said", ylabel="true")

    return draw


# ---------------------------------------------------------------------------------- numbers and runs
def _scatter(target: TargetFacts, facts: EvaluationFacts) -> Draw:
    def draw(axes: Any) -> None:
        ends = [number for true, said, _ in target.points for number in (true, said)]
        axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color=GREY, linewidth=0.6)
        for number, name in enumerate(dict.fromkeys(label for *_, label in target.points)):
            some = [(true, said) for true, said, label in target.points if label == name]
            place = list(facts.classes).index(name) if name in facts.classes else number
            axes.plot(
                *zip(*some, strict=True), MARKS[place % len(MARKS)], color=_colour(place), alpha=0.6, markersize=3, label=name or None
            )  # fmt: skip
        unit = f" ({target.units})" if target.units else ""
        axes.set(xlabel=f"measured {target.label}{unit}", ylabel=f"predicted {target.label}{unit}")
        if any(label for *_, label in target.points):
            axes.legend()

    return draw


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _runs(facts: EvaluationFacts, scale: HeadlineScale, folder: Path) -> None:
    """Each run by itself, and their mean and standard deviation."""
    runs, simulated = facts.runs, facts.simulated
    assert runs is not None
    each: Mapping[str, Metric | None] = runs.each(facts.headline)
    lines = [_interval(f"{runs.of} {key}", one, scale) for key, one in each.items() if one is not None]
    axis = f"{scale.title}, {scale.unit.strip()}" if scale.unit else scale.title
    write_figure(folder, f"{runs.of}s", _even(lines, axis), height=height_of(lines), simulated=simulated)
    names = names_of(facts)
    rows: list[dict[str, object]] = [
        {
            "name": key,
            "score": names.get(key, key),
            "mean": one.mean,
            "sd": one.sd,
            f"n_{runs.of}s": one.defined,
        }
        for key, one in runs.over.items()
    ]
    caption = (
        f"Mean and standard deviation over {len(runs.runs)} {runs.of}s: {facts.model} on {facts.cohort}."
    )
    _table(folder, f"{runs.of}s", rows, caption, simulated=simulated)
