"""One scan, one question, one heat map on the voxels of the model's input: the seam of every command that shows heat."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxtune.catalog import PRESETS, load
from voxtune.errors import UsageError
from voxtune.explanation.dense import dense
from voxtune.explanation.grad_eclip import grad_activation, grad_eclip
from voxtune.explanation.occlusion import occlusion_drops, painted
from voxtune.explanation.regions import Atlas, blocks, tensor_atlas
from voxtune.explanation.target import Target, check_target, choose_target
from voxtune.explanation.token_grid import first_centre, grid_of, spread_tokens
from voxtune.explanation.voxel_gradient import voxel_gradient
from voxtune.imaging.orient import orient
from voxtune.imaging.presets import Preset
from voxtune.imaging.template import brain_mask, field_of_view
from voxtune.model.adapter import LoadedAdapter
from voxtune.model.questions import question_of
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.protocols import is_sparse_tower
from voxtune.types.volume import Volume

Method = Literal["auto", "grad_eclip", "grad_activation", "dense", "voxel_gradient", "occlusion"]
ON_TOKENS = {"grad_eclip", "grad_activation", "dense"}
METHODS: tuple[str, ...] = get_args(Method)
TITLES = {
    "grad_eclip": "Grad-ECLIP",
    "grad_activation": "gradient x activation of the last token grid",
    "dense": "what each patch alone says",
    "voxel_gradient": "the size of the voxel gradient",
    "occlusion": "occlusion by region",
}


@dataclass(frozen=True)
class HeatMap:
    """Heat on the voxels of the model's input tensor, its largest absolute value 1 (all 0 where nothing was found)."""

    voxels: NDArray[np.float32]
    """(X, Y, Z) in the axes of the preset's tensor; negative only for occlusion. Zero outside the template's brain."""
    whole: NDArray[np.float32]
    """The same before it was cut to the brain: what null maps are made of."""
    method: str
    target: str
    biomarker: str | None
    meaning: str
    """What the colours mean, as one sentence for people."""
    peak: float
    """What 1 stands for in the method's own unit; for occlusion the fall of the score per voxel hidden."""
    tokens: tuple[int, int, int] | None
    """The grid the heat was computed on, where it is coarser than the voxels."""


def heat_map(
    loaded: LoadedAdapter,
    volume: Tensor,
    *,
    target: str | None,
    biomarker: str | None = None,
    method: str = "auto",
    report: str | None = None,
    signed: bool = False,
) -> HeatMap:
    """Where in a scan the model finds what speaks for a target.

    Args:
        loaded: an adapter on its base.
        volume: the preset's tensor (C, X, Y, Z).
        target: a class or finding of the adapter, ``mmse``, or ``report``; ``None``: the predicted class.
        biomarker: explain the similarity to a report in which only this biomarker is kept, the others masked.
        method: ``grad_eclip``, ``grad_activation``, ``dense``, ``voxel_gradient``, ``occlusion``, or ``auto``: the first that fits the tower.
        report: the scan's report text, where there is one.
        signed: of a method on tokens keep the evidence against the target too, below 0; such a map is compared, not shown.

    Raises:
        UsageError: an unknown method, target or biomarker, or a method that does not fit the tower.
    """
    chosen = choose_target(loaded, volume, target, biomarker, report)
    return explain_targets(loaded, volume, [chosen], method, signed=signed)[0]


def check_asked(
    loaded: LoadedAdapter, target: str | None, method: str, biomarkers: Sequence[str] = ()
) -> None:
    """Refuse what no scan can be asked, before one is read.

    Raises:
        UsageError: a target that the adapter does not have, a method that is none of ``METHODS``, or biomarkers of reports without any.
    """
    _check_method(method)
    check_target(loaded, target)
    if biomarkers and not question_of(loaded.facts).biomarkers:
        raise UsageError("The reports of this adapter name no biomarkers: leave out --biomarker.")


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise UsageError(f"No method '{method}'. Known: {', '.join(METHODS)}.")


def explain_targets(
    loaded: LoadedAdapter,
    volume: Tensor,
    targets: Sequence[Target],
    method: str = "auto",
    atlas: Atlas | None = None,
    *,
    signed: bool = False,
) -> list[HeatMap]:
    """Heat maps of targets that are already chosen, in their order; those on tokens share one forward.

    Args:
        loaded: an adapter on its base.
        volume: the preset's tensor (C, X, Y, Z).
        targets: what to explain.
        method: of ``METHODS``.
        atlas: the regions of occlusion in tensor axes; otherwise Desikan-Killiany in template space, else 4 x 4 x 4 blocks.
        signed: as ``heat_map`` has it.

    Raises:
        UsageError: an unknown method, or one that does not fit the tower.
    """
    _check_method(method)
    tower: Any = loaded.model.vision.tower
    shape = (int(volume.shape[1]), int(volume.shape[2]), int(volume.shape[3]))
    grid = grid_of(tower, shape)
    used = [suited(method, tower, grid, target) for target in targets]
    scan = volume.to(next(loaded.model.parameters()).device)
    found: dict[int, HeatMap] = {}
    for kind in dict.fromkeys(used):
        places = [place for place, one in enumerate(used) if one == kind]
        chosen = [targets[place] for place in places]
        if kind in ON_TOKENS:
            made = _on_tokens(loaded.model, scan, chosen, kind, grid, signed=signed)
        elif kind == "voxel_gradient":
            made = [voxel_gradient(loaded.model, scan, target) for target in chosen]
        else:
            regions = atlas or tensor_atlas(_preset(loaded)) or blocks(shape)
            made = [
                painted(occlusion_drops(loaded.model, scan, regions, target.score), regions)
                for target in chosen
            ]
        for place, heat in zip(places, made, strict=True):
            found[place] = _finished(heat, kind, targets[place], grid, tensor_mask(_preset(loaded)))
    return [found[place] for place in range(len(targets))]


def _preset(loaded: LoadedAdapter) -> Preset:
    return cast(Preset, load(PRESETS, loaded.facts.preset, "preset"))


def _on_tokens(
    model: VisionLanguageModel,
    scan: Tensor,
    targets: list[Target],
    kind: str,
    grid: tuple[int, int, int] | None,
    *,
    signed: bool,
) -> list[NDArray[np.float32]]:
    if grid is None:
        raise UsageError(
            f"'{model.backbone.name}' has one token a slice, so it has no token grid: use 'voxel_gradient' or 'occlusion'."
        )
    shape = (int(scan.shape[1]), int(scan.shape[2]), int(scan.shape[3]))
    with torch.no_grad():
        embedded = model.vision.embed(scan[None])
    tower = model.vision.tower
    first = first_centre(tower, shape, grid)
    places = tower.places(scan[None]) if is_sparse_tower(tower) else None
    count = math.prod(grid) if places is None else len(places)
    if kind == "dense":
        found = dense(model, embedded, targets, signed=signed)
    else:
        method = grad_eclip if kind == "grad_eclip" else grad_activation
        found = method(model, embedded, count, targets, signed=signed)
    return [spread_tokens(_on_grid(values.float().cpu(), places, grid), shape, first) for values in found]


def _on_grid(values: Tensor, places: Tensor | None, grid: tuple[int, int, int]) -> NDArray[np.float32]:
    """Values of tokens where they stand; tokens of one place are added up, and a place without any has none of the heat."""
    if places is not None:
        values = torch.zeros(math.prod(grid)).index_add_(0, places.cpu(), values)
    return np.asarray(values.numpy().reshape(grid))


def _finished(
    heat: NDArray[np.float32],
    kind: str,
    target: Target,
    grid: tuple[int, int, int] | None,
    inside: NDArray[np.bool_] | None,
) -> HeatMap:
    cut = heat if inside is None else heat * inside
    peak = float(np.abs(cut).max())
    unit = peak if peak > 0 else 1.0
    tokens = grid if kind in ON_TOKENS else None
    return HeatMap(
        (cut / unit).astype(np.float32), (heat / unit).astype(np.float32), kind, target.name, target.biomarker,
        _meaning(kind, target, tokens, heat.shape), peak, tokens,
    )  # fmt: skip


def suited(method: str, tower: Any, grid: tuple[int, int, int] | None, target: Target) -> str:
    """The method that ``auto`` stands for on a tower: Grad-ECLIP where a token is read out, else its last token grid."""
    if method != "auto":
        return method
    if grid is None or getattr(tower, "reads_corner", False):
        return "voxel_gradient"
    return (
        "grad_eclip"
        if (tower.lead > 0 or target.read_out != "class") and len(tower.blocks)
        else "grad_activation"
    )


def tensor_mask(preset: Preset) -> NDArray[np.bool_] | None:
    """Where the template's brain is, in the axes of the tensor; ``None`` where the tensor is not the template cube."""
    if preset.fit != "cube":
        return None
    size = preset.size[0]
    brain = Volume(brain_mask(size).astype(np.float32), field_of_view(size))
    return orient(brain, preset.axes).voxels > 0.5


def _meaning(
    method: str, target: Target, grid: tuple[int, int, int] | None, shape: tuple[int, int, int]
) -> str:
    if method == "occlusion":
        return (
            f"Colour: how much {target.says} falls, per voxel, when the region is hidden behind a blurred copy of the scan "
            "(1: the largest change of this scan; below 0: hiding it raises the score)."
        )
    if method == "voxel_gradient":
        return (
            f"Colour: how strongly a small change of brightness at a place moves {target.says}, up or down, relative to the strongest "
            "place of this scan (1)."
        )
    assert grid is not None
    coarse = " x ".join(str(round(size / count)) for size, count in zip(shape, grid, strict=True))
    return (
        f"Colour: how much a place raises {target.says}, by {TITLES[method]}, relative to the strongest place of this scan (1); "
        f"computed on tokens of {coarse} voxels, smooth in between."
    )
