"""CT-CLIP's published preprocessing, number by number, for every case found."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from voxtune.imaging.presets import CT_CLIP, Preset
from voxtune.imaging.tensor import to_tensor
from voxtune.types.volume import Volume

STARTS = "ct_clip_preprocess"


def cases(root: Path) -> list[Path]:
    return sorted(
        path.parent
        for path in root.rglob("case.json")
        if json.loads(path.read_text(encoding="utf-8"))["case"].startswith(STARTS)
    )


def hounsfield(tensors: dict[str, np.ndarray], facts: dict) -> Volume:
    stored = tensors[f"input/{facts['volume']}"].astype(np.float32)
    voxels = stored * np.float32(facts["rescale_slope"]) + np.float32(facts["rescale_intercept"])
    step = [facts["xy_spacing"], facts["xy_spacing"], facts["z_spacing"]]
    # CT-RATE files run left, posterior, superior; the published loader takes (k, i, j) as they are.
    return Volume(voxels, np.diag([-step[0], -step[1], step[2], 1.0]))


def resized(preset: Preset, facts: dict) -> Preset:
    height, width, depth = facts["target_h_w_d"]
    return preset.model_copy(update={"size": (depth, height, width)})


def test_every_case_of_ct_clip_preprocessing(shared_parity: Path) -> None:
    found = cases(shared_parity)
    if not found:
        pytest.skip("no case of CT-CLIP preprocessing among the golden numbers")
    for folder in found:
        case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "case.safetensors")
        atol = case["tolerance"]["atol"]
        for number, facts in enumerate(case["constructor"]["cases"]):
            volume = hounsfield(tensors, facts)
            small = to_tensor(volume, resized(CT_CLIP, facts))
            assert np.abs(small - tensors[f"output/tensor_{number}"]).max() <= atol[f"tensor_{number}"]
            full = to_tensor(volume, CT_CLIP)
            assert list(full.shape) == facts["full_shape"]
            start, step = facts["full_strided_start"], facts["full_strided_step"]
            want = tensors[f"output/full_strided_{number}"]
            picked = full[0][
                tuple(slice(s, s + t * n, t) for s, t, n in zip(start, step, want.shape, strict=True))
            ]
            assert np.abs(picked - want).max() <= atol[f"full_strided_{number}"]
            for name, axes in (("slice", (1, 2)), ("row", (0, 2)), ("column", (0, 1))):
                sums = full[0].sum(axis=axes, dtype=np.float64)
                assert (
                    np.abs(sums - tensors[f"output/full_{name}_sum_{number}"]).max()
                    <= atol[f"full_{name}_sum_{number}"]
                )


def test_storing_the_fitted_volume_changes_nothing(shared_parity: Path) -> None:
    """The stored CT, fitted once more, is the same tensor: the chain and the loader may both call the preset."""
    from voxtune.imaging.tensor import fit_hounsfield

    for folder in cases(shared_parity):
        case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "case.safetensors")
        for facts in case["constructor"]["cases"]:
            preset, volume = resized(CT_CLIP, facts), hounsfield(tensors, facts)
            assert np.array_equal(
                to_tensor(fit_hounsfield(volume, preset), preset), to_tensor(volume, preset)
            )
