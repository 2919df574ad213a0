"""The regions of a brain: their names, where they usually lie, the network, and what is made of its answer."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voxtune.imaging import template
from voxtune.segmentation import accuracy as trust
from voxtune.segmentation import segment
from voxtune.segmentation.labels import CORTEX, INNER, MIDLINE, REGIONS, freesurfer, numbered, numbers
from voxtune.segmentation.measure import SUMS
from voxtune.segmentation.network import RegionNet, places
from voxtune.segmentation.prior import COARSE, EDGE, atlas_regions, log_prior, log_prior_of
from voxtune.types.volume import Volume


def test_no_label_is_two_regions() -> None:
    labels = [label for name in REGIONS[1:] for label in freesurfer(name)]
    assert len(labels) == len(set(labels))
    assert len(REGIONS) == 1 + len(INNER) + len(CORTEX) == len(set(REGIONS))


@pytest.mark.parametrize("side", [0, 1])
def test_the_label_of_a_side_is_one_of_its_region(side: int) -> None:
    assert np.array_equal(numbered(numbers(side)), np.arange(len(REGIONS)))
    for number, name in enumerate(REGIONS[1:], start=1):
        assert numbers(side)[number] in freesurfer(name)
        assert (numbers(0)[number] == numbers(1)[number]) == (name in MIDLINE)


def test_the_prior_is_a_share_of_each_region_and_alike_on_both_sides() -> None:
    shares = log_prior().exp()
    assert shares.shape == (len(REGIONS), COARSE, COARSE, COARSE)
    assert torch.allclose(shares.sum(0), torch.ones(()), atol=0.01)
    assert torch.allclose(shares, shares.flip(1), atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.tuples(*[st.integers(0, EDGE - 16)] * 3), st.tuples(*[st.integers(1, 16)] * 3))
def test_a_box_of_the_prior_is_a_piece_of_the_whole(
    start: tuple[int, int, int], shape: tuple[int, int, int]
) -> None:
    import torch.nn.functional as F

    box = log_prior_of(shape, start)
    axes = [
        (torch.arange(n) + s - 1.0) / 3 / ((COARSE - 1) / 2) - 1 for n, s in zip(shape, start, strict=True)
    ]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flip(-1)[None].float()
    whole = F.grid_sample(log_prior()[None], grid, align_corners=True, padding_mode="border")[0]
    assert torch.allclose(box, whole, atol=1e-4)


def test_the_atlas_lies_where_the_template_has_its_brain() -> None:
    regions, brain = atlas_regions(), template.brain_mask(EDGE)
    assert brain[regions > 0].mean() > 0.97
    ventricle = template.template(EDGE).voxels[regions == REGIONS.index("lateral_ventricle")]
    white = template.template(EDGE).voxels[regions == REGIONS.index("white_matter")]
    assert np.median(ventricle) < np.median(white) / 2


def test_places_tell_left_from_right_by_nothing() -> None:
    here = places((EDGE, 8, 8), (0, 0, 0), EDGE)
    assert torch.allclose(here[0], here[0].flip(0))
    assert here.abs().max() <= 1


def _net(seed: int) -> RegionNet:
    torch.manual_seed(seed)
    return RegionNet(len(REGIONS)).eval()


def test_a_fused_network_says_the_same() -> None:
    torch.manual_seed(3)
    net = RegionNet(len(REGIONS))
    picture = torch.rand(1, 4, 16, 16, 16)
    net.train()
    for _ in range(3):
        net(torch.rand(1, 4, 16, 16, 16))
    net.eval()
    with torch.no_grad():
        before = net(picture)
        after = net.fused()(picture)
    assert torch.allclose(before, after, atol=1e-4)


def _brain() -> Volume:
    small = template.template(EDGE)
    return small.with_voxels(small.voxels * template.brain_mask(EDGE))


def test_amounts_are_shares_of_the_box_and_a_network_that_says_nothing_gives_the_atlas() -> None:
    net = _net(1)
    for parameter in net.scores.parameters():
        torch.nn.init.zeros_(parameter)
    found = segment.find_regions(_brain(), net)
    box, _ = segment.box_of_brain(_brain().voxels > 0)
    voxels = np.prod([part.stop - part.start for part in box])
    assert found.amounts.sum() == pytest.approx(voxels, rel=1e-4)
    hippocampus = REGIONS.index("hippocampus")
    expected = (atlas_regions() == hippocampus).sum()
    assert found.amounts[hippocampus].sum() == pytest.approx(expected, rel=0.15)
    assert found.amounts[hippocampus, 0] == pytest.approx(found.amounts[hippocampus, 1], rel=1e-4)
    ours = found.labels == hippocampus
    assert 2 * (ours & (atlas_regions() == hippocampus)).sum() / (ours.sum() + expected) > 0.5


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_box_holds_the_brain_and_can_be_halved_three_times(data: st.DataObject) -> None:
    inside = np.zeros((EDGE, EDGE, EDGE), dtype=bool)
    where = []
    for _ in range(3):
        low = data.draw(st.integers(0, EDGE - 1))
        where.append(slice(low, data.draw(st.integers(low, EDGE - 1)) + 1))
    inside[tuple(where)] = True
    box, start = segment.box_of_brain(inside)
    held = np.zeros_like(inside)
    held[box] = True
    assert not (inside & ~held).any()
    assert start == tuple(part.start for part in box)
    assert all((part.stop - part.start) % segment.STEP == 0 and part.stop <= EDGE for part in box)


def test_every_volume_of_the_shipped_network_has_a_measured_error() -> None:
    shipped = trust.accuracy()
    names = {*SUMS, "icv"}
    for name in REGIONS[1:]:
        names |= {name} if name in MIDLINE else {f"left_{name}", f"right_{name}"}
    assert set(shipped.regions) == names
    assert all(one.relative_error > 0 and one.source for one in shipped.regions.values())


def test_errors_grow_with_doubt_and_with_thick_slices() -> None:
    shipped = trust.accuracy()
    usual = shipped.regions["hippocampus"].certainty
    plain = shipped.error("hippocampus", 6000.0, usual, 1.0)
    assert plain == pytest.approx(6000 * shipped.regions["hippocampus"].relative_error)
    assert shipped.error("hippocampus", 6000.0, usual / 2, 1.0) > plain
    assert shipped.error("hippocampus", 6000.0, usual, 6.0) == pytest.approx(4 * plain)
    assert shipped.error("hippocampus", 6000.0, 1.0, None) == pytest.approx(plain)


def _volumes(**changed: float) -> dict[str, float]:
    usual = {"hippocampus": 7000.0, "ventricles": 20000.0, "whole_brain": 1.1e6, "entorhinal": 3500.0, "fusiform": 17000.0,
             "middle_temporal": 24000.0, "icv": 1.5e6, "left_hippocampus": 3500.0, "right_hippocampus": 3500.0}  # fmt: skip
    return usual | changed


def test_what_no_adult_has_is_doubted() -> None:
    shipped = trust.accuracy()
    sure = dict.fromkeys(_volumes(), 1.0)
    assert shipped.doubts(_volumes(), sure) == []
    assert not shipped.fails(_volumes())
    for name, value in (("hippocampus", 500.0), ("ventricles", 5e5), ("whole_brain", 4e5), ("icv", 5e6)):
        (said,) = shipped.doubts(_volumes(**{name: value}), sure)
        assert name.replace("_", " ") in said
    assert (
        "one hippocampus"
        in shipped.doubts(_volumes(left_hippocampus=6000.0, right_hippocampus=1000.0), sure)[0]
    )
    assert "less sure than usual" in shipped.doubts(_volumes(), sure | {"hippocampus": 0.01})[0]
    assert shipped.fails(_volumes(whole_brain=4e5))
    assert shipped.fails(_volumes(hippocampus=0.0))
