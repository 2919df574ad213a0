"""The published preprocessing of COLIPRI, NeuroVFM and BrainIAC, tensor by tensor, for every case found."""

from typing import Any

import numpy as np
import torch

from voxtune.backbones.neurovfm import NeuroVfm
from voxtune.backbones.neurovfm_vision import STATISTICS, WINDOWS, NeuroVfmSizes, cut, windowed
from voxtune.catalog import PRESETS, load
from voxtune.imaging import patches
from voxtune.imaging.presets import Preset, fits
from voxtune.imaging.tensor import fit_own_space, resize, to_tensor, zscored
from voxtune.types.volume import Volume
from voxtune.weights.shapes import shapes_only

TIES = 1e-3
"""Of integers that come to lie between two: one to three values of four to thirty thousand are rounded the other way."""
COLIPRI_PRESETS = {"ras": "colipri", "sar": "colipri_0_1_1"}


def scans(case: Any) -> dict[str, tuple[Volume, str]]:
    """Each input volume, and the number type of its file."""
    inputs = case.tensors("input")
    return {
        name: (
            Volume(array.numpy().astype(np.float32), inputs[f"{name}_affine"].numpy().astype(np.float64)),
            case.facts["inputs"][name]["dtype"],
        )
        for name, array in inputs.items()
        if not name.endswith("_affine")
    }


def plain(array: Any, kind: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(kind)


def test_colipri_preprocess(colipri_preprocess_case: Any) -> None:
    case = colipri_preprocess_case
    facts, expected = case.sizes, case.tensors("output")
    got: dict[str, torch.Tensor] = {}
    for axes, name in COLIPRI_PRESETS.items():
        preset: Preset = load(PRESETS, name)
        assert preset.spacing == (facts["spacing_mm"],) * 3
        assert preset.value_range == tuple(facts["rescale"])
        assert [preset.steps.low, preset.steps.high] == facts["clamp"]
        for scan, (volume, stored) in scans(case).items():
            whole = f"{scan}_{axes}_sample" in expected
            edge = facts["input_size_full" if whole else "input_size"]
            sized = preset.model_copy(update={"size": (edge,) * 3})
            prepared = fit_own_space(volume, sized, stored)
            assert fits(prepared, sized)
            tensor = to_tensor(prepared, sized)
            if whole:
                step = edge // expected[f"{scan}_{axes}_sample"].shape[0]
                got[f"{scan}_{axes}_sample"] = plain(tensor[0, ::step, ::step, ::step])
                got[f"{scan}_{axes}_sum"] = torch.tensor(tensor.sum(dtype=np.float64), dtype=torch.float32)
            else:
                got[f"{scan}_{axes}"] = plain(tensor[0])
                got[f"{scan}_{axes}_affine"] = plain(prepared.affine, torch.float64)
    case.check(got, ties=TIES)


def test_neurovfm_preprocess(neurovfm_preprocess_case: Any) -> None:
    case = neurovfm_preprocess_case
    facts, expected = case.sizes, case.tensors("output")
    assert tuple(facts["patch_size_dhw"]) == patches.PATCH
    assert {n: tuple(w) for n, w in facts["ct_windows_width_level"].items()} == dict(
        zip(("brain", "blood", "bone"), WINDOWS, strict=True)
    )
    pairs = {name: (facts["means"][name], facts["deviations"][name]) for name in facts["means"]}
    assert {"mri": (pairs["mri"],), "ct": (pairs["brain"], pairs["blood"], pairs["bone"])} == STATISTICS
    got: dict[str, torch.Tensor] = {}
    for scan, (volume, stored) in scans(case).items():
        ct = "modality ct" in case.facts["inputs"][scan]["meaning"]
        preset: Preset = load(PRESETS, "neurovfm_ct" if ct else "neurovfm")
        series = patches.series_array(volume, stored).voxels
        if ct:
            got[f"{scan}_array"] = windowed(plain(series)).movedim(-1, 0)
            gone = patches.dropped(series <= patches.BACKGROUND_HU)
        else:
            values, background = patches.mri_values(series)
            got[f"{scan}_array"], gone = plain(values)[None], patches.dropped(background)
        got[f"{scan}_background_patch"] = plain(gone.ravel(), torch.uint8)
        got[f"{scan}_coords"] = plain(np.argwhere(~gone), torch.int64)
        # From here on what the model itself makes of the preset's tensor.
        tensor = plain(to_tensor(fit_own_space(volume, preset, stored), preset))
        with shapes_only():
            vision = NeuroVfm(vision=NeuroVfmSizes(modality="ct" if ct else "mri")).build().vision
        places = vision.places(tensor[None])[:: vision.series]
        _, h, w = vision.grid(preset.size)
        on_grid = torch.stack([places // (h * w), places // w % h, places % w], dim=-1)
        assert torch.equal(on_grid, got[f"{scan}_coords"])
        tokens = vision.normalised(cut(tensor, preset_patch(facts))[:, places])[0].movedim(0, 1)
        every = tokens.shape[-1] // expected[f"{scan}_tokens_sample"].shape[-1]
        got[f"{scan}_tokens_sample"] = tokens[..., ::every]
    case.check(got, ties=TIES)


def preset_patch(facts: Any) -> tuple[int, int, int]:
    p, q, r = facts["patch_size_dhw"]
    return p, q, r


def test_brainiac_preprocess(brainiac_preprocess_case: Any) -> None:
    """In the stored axis order, whatever the affine says: what follows registration and stripping."""
    case = brainiac_preprocess_case
    expected = case.tensors("output")
    preset: Preset = load(PRESETS, "brainiac")
    assert preset.size == tuple(case.sizes["target_full"])
    got: dict[str, torch.Tensor] = {}
    for scan, (volume, _) in scans(case).items():
        got[scan] = plain(zscored(resize(volume.voxels, tuple(case.sizes["target"]))))
        every = preset.size[0] // expected[f"{scan}_full_sample"].shape[0]
        full = zscored(resize(volume.voxels, preset.size))
        got[f"{scan}_full_sample"] = plain(full[::every, ::every, ::every])
    case.check(got)


def test_brainiac_from_the_stored_volume(brainiac_preprocess_case: Any) -> None:
    """The preset of what upstream registered: of a volume that points to LAS, as its template, nothing but resize and z-score."""
    case = brainiac_preprocess_case
    preset: Preset = load(PRESETS, "brainiac_paediatric")
    got = {}
    for name, (volume, _) in scans(case).items():
        full = to_tensor(Volume(volume.voxels, np.diag([-1.0, 1.0, 1.0, 1.0])), preset)[0]
        every = preset.size[0] // case.tensors("output")[f"{name}_full_sample"].shape[0]
        got[f"{name}_full_sample"] = plain(full[::every, ::every, ::every])
    case.check(got, whole=False)
