"""The shipped adapter knows its own kind of scan: new simulated people are near, spoiled scans are far."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from voxtune.commands.simulate.command import simulate
from voxtune.data.images import scan_reader
from voxtune.data.manifest import read_manifest
from voxtune.evaluation.ood_detection import distance, features_of
from voxtune.serving.bundled import adapter_folder
from voxtune.serving.predictor import Predictor

SPOILED: dict[str, Callable[[Tensor], Tensor]] = {
    "upside down": lambda scan: scan.flip(3),
    "back to front": lambda scan: scan.flip(2),
    "axes swapped": lambda scan: scan.permute(0, 2, 1, 3),
    "inverted contrast": lambda scan: torch.where(scan > 0.02, 1 - scan, scan),
    "blurred": lambda scan: torch.from_numpy(gaussian_filter(scan.numpy(), (0, 2, 2, 2))),
    "half of it": lambda scan: torch.cat([torch.zeros_like(scan[:, :32]), scan[:, 32:]], dim=1),
    "noise": lambda scan: torch.rand(scan.shape, generator=torch.Generator().manual_seed(0)),
    "nothing": torch.zeros_like,
}


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(adapter_folder(Path("demo")))


@pytest.fixture(scope="module")
def scans(predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> list[Tensor]:
    manifest = simulate(tmp_path_factory.mktemp("new"), participants=8, visits=1, seed=99)
    rows = read_manifest(manifest)
    read = scan_reader(manifest, rows, predictor.preset)
    return [read(row.scan_id) for row in rows]


def distances(predictor: Predictor, scans: list[Tensor]) -> list[float]:
    familiar = predictor.adapter.facts.trust.familiar
    assert familiar is not None
    named = {str(place): scan for place, scan in enumerate(scans)}
    features = features_of(predictor.adapter.model, tuple(named), named.__getitem__)
    return [distance(one, familiar) / familiar.limit for one in features]


def test_new_people_of_the_same_kind_are_familiar(predictor: Predictor, scans: list[Tensor]) -> None:
    assert max(distances(predictor, scans)) < 1


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_scan_is_not(predictor: Predictor, scans: list[Tensor], name: str) -> None:
    assert min(distances(predictor, [SPOILED[name](scan) for scan in scans[:4]])) > 1
