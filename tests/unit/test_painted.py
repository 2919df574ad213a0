"""Pictures painted over bent labels: nothing folds, regions grow as asked, and the same seed paints the same picture."""

import numpy as np
import pytest
import torch

from voxtune.segmentation.labels import REGIONS
from voxtune.segmentation.prior import atlas_regions
from voxtune.simulate import painted
from voxtune.simulate.painted import COARSE, EDGE, GROWTH, bent, crops
from voxtune_recipes.train_regions import Labelled, average_brain, loss_of


@pytest.fixture(scope="module")
def average() -> Labelled:
    return Labelled(*average_brain())


def _jacobian(displacement: torch.Tensor) -> torch.Tensor:
    """Volume of each coarse voxel after it is moved."""
    rows = [torch.stack(torch.gradient(displacement[axis], dim=(0, 1, 2)), dim=-1) for axis in range(3)]
    return torch.as_tensor(torch.linalg.det(torch.stack(rows, dim=-2) + torch.eye(3)))


@pytest.mark.parametrize("seed", range(4))
def test_a_bend_folds_hardly_anywhere(average: Labelled, seed: int) -> None:
    volume = _jacobian(bent(np.random.default_rng(seed), average.growth))[4:-4, 4:-4, 4:-4]
    assert (volume <= 0).float().mean() < 0.002
    assert volume.std() > 0.05


def test_a_region_grows_by_the_rate_it_is_given(average: Labelled, monkeypatch: pytest.MonkeyPatch) -> None:
    class Even:
        def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
            return (low + high) / 2 if low != 0.2 else 0.0

        def normal(self, mean: float, deviation: float, shape: tuple[int, ...] | None = None) -> object:
            return mean if shape is None else np.zeros(shape)

    regions = torch.from_numpy((atlas_regions() == REGIONS.index("lateral_ventricle")).astype(np.float32))
    block = EDGE // COARSE
    coarse = torch.nn.functional.avg_pool3d(regions[None, None], block)[0, 0]
    grown = []
    for rate in (-0.5, 0.0, 0.5, 1.5):
        asked = dict.fromkeys(GROWTH, (0.0, 0.0)) | {"lateral_ventricle": (rate, rate)}
        monkeypatch.setattr(painted, "GROWTH", asked)
        moved = painted._at(coarse[None], bent(Even(), average.growth))[0]  # type: ignore[arg-type]
        grown.append(np.log(float(moved.sum() / coarse.sum())))
    assert grown == sorted(grown)
    assert grown[0] < -0.2
    assert grown[1] == pytest.approx(0, abs=1e-3)
    # At 3 mm a thin region is mostly edge: it grows by less than it was asked to.
    assert 0.6 < grown[3] < 1.7


def test_the_same_seed_paints_the_same_picture_with_any_number_of_threads(average: Labelled) -> None:
    def drawn() -> list[painted.Crop]:
        rng = np.random.default_rng(5)
        return crops(
            average.head, average.growth, rng, edge=32, number=2, regions=REGIONS, centres=average.about
        )

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = drawn()
        torch.set_num_threads(2)
        two = drawn()
    finally:
        torch.set_num_threads(before)
    for a, b in zip(one, two, strict=True):
        assert a.start == b.start
        assert np.array_equal(a.regions, b.regions)
        assert np.array_equal(a.picture, b.picture)


def test_a_crop_is_a_picture_of_its_labels(average: Labelled) -> None:
    rng = np.random.default_rng(11)
    made = [
        one
        for _ in range(3)
        for one in crops(
            average.head, average.growth, rng, edge=32, number=2, regions=REGIONS, centres=average.about
        )
    ]
    for one in made:
        assert one.picture.shape == one.regions.shape == (32, 32, 32)
        assert 0 <= one.picture.min() <= one.picture.max() <= 1.3
        assert one.regions.max() < len(REGIONS)
        assert all(0 <= start <= EDGE - 32 for start in one.start)
    assert len({one.start for one in made}) > 1


def test_the_loss_is_least_for_the_truth() -> None:
    torch.manual_seed(0)
    truth = torch.randint(0, 4, (1, 6, 6, 6))
    right = 20.0 * torch.nn.functional.one_hot(truth, 4).movedim(-1, 1).float()
    wrong = right.roll(1, dims=1)
    assert float(loss_of(right, truth)) == pytest.approx(0, abs=0.01)
    assert loss_of(wrong, truth) > loss_of(torch.zeros_like(right), truth) > loss_of(right, truth)
