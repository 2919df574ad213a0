"""The figures of concepts/method.md: every value in them comes from VoxTune's own functions."""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

import matplotlib as mpl
import numpy as np
import torch
import torch.nn.functional as F
from drawing import COLOURS, INK, STYLE, canvas, svg
from matplotlib.axes import Axes
from torch import Tensor

from voxtune.losses.contrastive import (
    class_targets,
    contrastive,
    image_to_text,
    instance_targets,
    scale,
    similarity,
)
from voxtune.losses.regression import masked_squared_error
from voxtune.losses.total import LossTerms, TaskTerms, total
from voxtune.model.build import build_model
from voxtune.model.cross_attention import attend, similarities_alone, similarities_of_sets
from voxtune.model.heads import Projection, TargetHead
from voxtune.model.vlm import VisionLanguageModel
from voxtune_recipes.deft import recipe


def _styled(make: Callable[[], str]) -> Callable[[], str]:
    def styled() -> str:
        with mpl.rc_context(STYLE):
            return make()

    styled.__doc__ = make.__doc__
    return styled


@cache
def _model() -> VisionLanguageModel:
    return build_model(recipe()).eval()


def _boxes(plot: Axes, rows: list[list[tuple[str, float, int | None, bool]]], names: list[str]) -> None:
    """Rows of boxes: text, width, colour (``None``: frozen) and whether it is learned here (filled) or carried (outlined)."""
    for number, (row, name) in enumerate(zip(rows, names, strict=True)):
        left, low = 0.0, -1.35 * number
        plot.text(-0.3, low + 0.5, name, ha="right", va="center")
        for text, width, colour, filled in row:
            ink = INK if colour is None else COLOURS[colour]
            box = mpl.patches.FancyBboxPatch(
                (left + 0.08, low), width - 0.16, 1.0, boxstyle="round,pad=0,rounding_size=.12", facecolor=ink if filled else "none",
                alpha=0.25 if filled else 1.0, edgecolor=ink,
            )  # fmt: skip
            plot.add_patch(box)
            plot.text(left + width / 2, low + 0.5, text, ha="center", va="center")
            left += width
    plot.set_xlim(-3.2, max(sum(one[1] for one in row) for row in rows) + 0.1)
    plot.set_ylim(-1.35 * len(rows) + 0.2, 1.15)
    plot.set_axis_off()


def vision_tokens() -> str:
    """The sequence of the vision tower, layer by layer (Eq. 1-3)."""
    model = _model()
    sets = {one.name: one for one in model.vision.sets()}
    patches = (
        model.vision.embed(torch.zeros(1, *model.backbone.volume_shape)).shape[1] - model.vision.tower.lead
    )
    prompts, depth = sets["prompt"].vectors.shape[1], model.vision.depth
    rows = [
        [("CLS", 1.4, None, False), ("MMSE", 1.6, 0, layer == 0), (f"{prompts} prompts of layer {layer + 1}", 5, 1, True), (f"{patches} patches", 4, None, False)]
        for layer in range(depth)
    ]  # fmt: skip
    rows.append([("CLS → Eq. 4", 1.9, 2, False), ("MMSE → Eq. 5", 2.1, 0, False)])
    names = [f"into layer {layer + 1}" for layer in range(depth)] + ["read after the last"]
    figure, [plot] = canvas(width=7.5, height=0.5 * len(rows))
    _boxes(plot, rows, names)
    return svg(
        figure, f"CLS, one MMSE token, {prompts} prompts fresh in each of {depth} layers, {patches} patches"
    )


def text_tokens() -> str:
    """The sequence of the text tower (Eq. 6)."""
    model = _model()
    text = "A photo of AD."
    ids, _ = model.backbone.tokenize([text])
    prompts = model.text.sets()[0].vectors.shape[1]
    figure, [plot] = canvas(width=7.5, height=0.6)
    _boxes(
        plot,
        [[("CLS", 1.4, None, False), (f"{prompts} learned vectors", 5, 1, True), (f"{ids.shape[1] - 1} word pieces of {text}", 5.6, None, False)]],
        ["into layer 1"],
    )  # fmt: skip
    return svg(figure, f"CLS, {prompts} learned vectors, the word pieces of the text")


def _circle(plot: Axes) -> None:
    angle = np.linspace(0, 2 * np.pi, 200)
    plot.plot(np.cos(angle), np.sin(angle), color=INK, alpha=0.3, linewidth=1, linestyle="-")
    plot.set_aspect("equal")


def _pairs(count: int, width: int = 16, noise: float = 0.8) -> tuple[Tensor, Tensor]:
    """Images and texts that half agree, unit vectors (count, width)."""
    generator = torch.Generator().manual_seed(2)
    shared = torch.randn(count, width, generator=generator)
    image, text = (shared + noise * torch.randn(count, width, generator=generator) for _ in range(2))
    return F.normalize(image, dim=-1), F.normalize(text, dim=-1)


def projection() -> str:
    """Features before and after a projection at its start (Eq. 4 and 7)."""
    features = torch.randn(12, 2, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        unit = Projection(2)(features)
    figure, [plot] = canvas(width=3.2, height=2.9)
    _circle(plot)
    for start, end in zip(features.tolist(), unit.tolist(), strict=True):
        plot.plot(*zip(start, end, strict=True), color=INK, alpha=0.35, linewidth=0.8, linestyle="-")
    plot.plot(*features.T.numpy(), "o", color=COLOURS[0])
    plot.plot(*unit.T.numpy(), "s", color=COLOURS[1])
    return svg(figure, "Features before and after projection to unit length")


def mmse_head() -> str:
    """From the scale of the loss to points (Eq. 5)."""
    head = TargetHead(4, 2, mean=26.0, sd=3.0, low=0.0, high=30.0)
    scaled = torch.linspace(-10, 4, 200)
    figure, [plot] = canvas()
    plot.plot(scaled, head.points(scaled))
    plot.set(xlabel="output of the head (standard deviations)", ylabel="MMSE (points)")
    return svg(figure, "From the scale of the loss to MMSE points")


def attention() -> str:
    """One scan among texts, and pairs before and after (Eq. 8-9)."""
    angle = torch.deg2rad(torch.tensor([20.0, 100.0, 200.0]))
    texts = torch.stack([angle.cos(), angle.sin()], dim=1)
    scan = torch.tensor([[0.5, 0.866]])
    figure, [left, right] = canvas(2, width=3.4, height=3.0)
    _circle(left)
    arrow = {"arrowstyle": "->", "linewidth": 1.6}
    for name, vector, colour in [
        *((f"w{number + 1}", text, COLOURS[1]) for number, text in enumerate(texts)),
        ("v", scan[0], COLOURS[0]),
        ("v̂", attend(scan, texts)[0], COLOURS[2]),
    ]:
        x, y = vector.tolist()
        left.annotate("", (x, y), (0, 0), arrowprops={**arrow, "color": colour})
        left.text(1.12 * x, 1.12 * y, name, color=colour, ha="center", va="center")
    left.set(xlim=(-1.3, 1.3), ylim=(-1.2, 1.7))
    image, text = _pairs(6)
    own = torch.eye(6, dtype=torch.bool)
    for number, cosines in enumerate((similarity(image, text), similarities_of_sets(image, text))):
        right.plot(
            [number - 0.1] * 6, cosines[own], "o", color=COLOURS[2], label="own text" if number else None
        )
        right.plot(
            [number + 0.1] * 30,
            cosines[~own],
            "x",
            color=COLOURS[1],
            label=None if not number else "other texts",
        )
    right.set(
        xticks=[0, 1],
        xticklabels=["before (Eq. 10 alone)", "after Eq. 8-9"],
        ylabel="cosine",
        xlim=(-0.5, 1.5),
    )
    right.legend()
    return svg(figure, "Cross-attention moves a scan towards the texts, and texts towards the scans")


def similarity_alone() -> str:
    """Rows of scans scored together and one by one (Eq. 10)."""
    image, text = _pairs(3)
    together = similarities_alone(image, text)
    alone = torch.cat([similarities_alone(image[[row]], text) for row in range(3)])
    if not torch.allclose(together, alone, atol=1e-6):
        raise ValueError("A score depends on the other scans.")
    figure, plots = canvas(2, width=2.6, height=2.4)
    for plot, table, title in zip(plots, (together, alone), ("together", "one by one"), strict=True):
        _matrix(plot, table, title, "class text", "scan")
    return svg(figure, "Cosines of three scans with three class texts, together and alone")


def _matrix(plot: Axes, table: Tensor, title: str, x: str, y: str) -> None:
    rows, columns = table.shape
    low, high = float(table.min()), float(table.max())
    for row in range(rows):
        for column in range(columns):
            value = float(table[row, column])
            plot.add_patch(
                mpl.patches.Rectangle(
                    (column, row),
                    1,
                    1,
                    facecolor=COLOURS[0],
                    alpha=0.05 + 0.6 * (value - low) / (high - low),
                    linewidth=0,
                )
            )
            plot.text(
                column + 0.5,
                row + 0.5,
                f"{value:.2f}".removeprefix("0") or "0",
                ha="center",
                va="center",
                fontsize=7,
            )
    plot.set(xlim=(0, columns), ylim=(rows, 0), xticks=[], yticks=[], title=title, xlabel=x, ylabel=y)
    plot.set_aspect("equal")
    plot.grid(visible=False)


def temperature() -> str:
    """InfoNCE in both readings of the temperature (Eq. 11)."""
    cosines = torch.full((16, 16), 0.1).fill_diagonal_(0.9)
    targets = instance_targets(cosines)
    values = torch.logspace(0, 2, 80)
    figure, [plot] = canvas(width=5.2)
    for form in ("divisor", "multiplier"):
        plot.plot(
            values,
            [float(image_to_text(scale(cosines, float(one), form), targets)) for one in values],
            label=form,
        )
    plot.axhline(np.log(16), color=INK, alpha=0.5, linestyle=":", linewidth=1)
    plot.text(1, np.log(16) + 0.06, "log N")
    plot.axvline(10, color=INK, alpha=0.3, linestyle="-", linewidth=1)
    plot.set(xscale="log", xlabel="temperature (10: where the paper starts)", ylabel="loss", ylim=(0, 3.1))
    plot.legend(loc="lower left")
    return svg(figure, "InfoNCE against the temperature in both readings")


def directions() -> str:
    """Both directions, their sum and their mean (Eq. 11-13)."""
    image, text = _pairs(6)
    names = ["Eq. 11", "Eq. 12", "sum (Eq. 13)", "mean"]
    figure, [plot] = canvas(width=5.2)
    for number, value in enumerate((1.0, 10.0, 30.0)):
        logits = scale(similarity(image, text), value, "multiplier")
        targets = instance_targets(logits)
        bars = [
            image_to_text(logits, targets),
            image_to_text(logits.T, targets),
            contrastive(logits, targets),
            contrastive(logits, targets, "mean"),
        ]
        plot.bar(
            np.arange(4) + 0.27 * (number - 1),
            [float(one) for one in bars],
            0.25,
            color=COLOURS[number],
            label=f"temperature {value:g}",
        )
    plot.set(xticks=range(4), xticklabels=names, ylabel="loss")
    plot.legend()
    return svg(figure, "Contrastive loss in both directions")


def targets() -> str:
    """The positives of a batch."""
    labels = torch.tensor([0, 0, 1, 2, 2, -100])
    figure, plots = canvas(2, width=2.7, height=2.5)
    for plot, table, title in zip(
        plots,
        (instance_targets(torch.zeros(6, 6)), class_targets(labels)),
        ("instance", "class"),
        strict=True,
    ):
        _matrix(plot, table, title, "text", "scan")
    return svg(figure, "Targets of the contrastive loss")


def mmse_loss() -> str:
    """The masked error with all scores known and with one missing (Eq. 14)."""
    moving = torch.linspace(-3, 3, 100)
    figure, [plot] = canvas()
    for label, last in (("all four known", 0.5), ("one missing", float("nan"))):
        target = torch.tensor([0.0, 1.0, -1.0, last])
        plot.plot(
            moving,
            [
                float(masked_squared_error(torch.tensor([float(one), 0.5, -0.5, -0.5]), target))
                for one in moving
            ],
            label=label,
        )
    plot.set(xlabel="first prediction minus its score (standard deviations)", ylabel="Eq. 14")
    plot.legend()
    return svg(figure, "Masked squared error of the MMSE")


def whole() -> str:
    """The objective against the MMSE error (Eq. 15)."""
    alignment = torch.tensor(2 * np.log(16.0))
    errors = torch.linspace(0, 2, 50)
    figure, [plot] = canvas()
    for weight in (0.0, 0.5, 1.0):
        plot.plot(
            errors,
            [
                float(
                    total(LossTerms(alignment, TaskTerms(targets={"mmse": one.square()})), {"mmse": weight})
                )
                for one in errors
            ],
            label=f"weight {weight:g}",
        )
    plot.set(xlabel="MMSE error (standard deviations)", ylabel="Eq. 15")
    plot.legend()
    return svg(figure, "The total loss against the MMSE error")


FIGURES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        make.__name__.replace("_", "-"): _styled(make)
        for make in (
            vision_tokens, projection, mmse_head, text_tokens, attention, similarity_alone, temperature, directions, targets, mmse_loss, whole,
        )
    }
)  # fmt: skip
