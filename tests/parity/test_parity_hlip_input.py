"""HLIP's way from a file to a tensor gives the authors' numbers."""

from typing import Any

import numpy as np
import torch

from voxtune.imaging.sequences import sequence_tensor, slices_first
from voxtune.types.volume import Volume


def close(case: Any, name: str, got: np.ndarray, expected: torch.Tensor) -> None:
    limits = case.facts["tolerance"]
    atol = limits["atol"][name] if isinstance(limits["atol"], dict) else limits["atol"]
    np.testing.assert_allclose(got, expected.numpy(), atol=atol, rtol=limits["rtol"], err_msg=name)


def test_scans_to_slices(hlip_case: Any) -> None:
    given, expected = hlip_case.tensors("input"), hlip_case.tensors("output")
    names = [name for name in given if name.startswith("nifti_") and not name.endswith("_affine")]
    assert names
    for name in names:
        voxels = given[name].numpy().astype(np.float32)
        affine = given[f"{name}_affine"].numpy().astype(np.float64)
        frames = [voxels] if voxels.ndim == 3 else [voxels[..., 0], voxels[..., 1]]
        found = slices_first([Volume(frame, affine) for frame in frames])
        close(hlip_case, f"{name}_array", found, expected[f"{name}_array"])


def test_slices_to_tensor(hlip_case: Any) -> None:
    given, expected = hlip_case.tensors("input"), hlip_case.tensors("output")
    names = [name for name in given if name.startswith("loader_")]
    assert names
    for name in names:
        stored = given[name].numpy().astype(np.float32)
        slices = (stored[..., 0] if stored.ndim == 4 else stored) / 255
        wanted = expected[f"{name}_sample"]
        found = sequence_tensor(slices, len(wanted))[0, :, ::7, ::7]
        close(hlip_case, f"{name}_sample", found, wanted)
