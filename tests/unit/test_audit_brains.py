"""A person is found again by the shape of the brain: half, cropped, mirrored, noisy or years later; strangers are not."""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import resources

import numpy as np
import pytest

from voxtune.audit import displacement
from voxtune.audit.align import align
from voxtune.audit.brains import learned, no_brain, raw_shape, sampled_brain, shape
from voxtune.audit.displacement import Sampled, Scan, inside, mended
from voxtune.audit.duplicates import FLOOR, compare
from voxtune.audit.fingerprints import prepared
from voxtune.audit.images import Images, look_at
from voxtune.simulate.brains import render
from voxtune.simulate.scanner import Scanner
from voxtune.simulate.subjects import CohortSettings, participant, visit_of
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume

PEOPLE = 10
SETTINGS = CohortSettings(participants=PEOPLE, visits=1, seed=5)


@cache
def scan(person: int, years: int = 0, scanner: int = 0) -> Volume:
    one = participant(SETTINGS, person)
    return render(SETTINGS, visit_of(SETTINGS, one, years), Scanner.drawn(5, scanner))[0]


def without(volume: Volume, *place: slice) -> Volume:
    voxels = volume.voxels.copy()
    voxels[place] = 0
    return volume.with_voxels(voxels)


def cropped(volume: Volume, axis: int, share: float) -> Volume:
    """The far end of an axis is not in the field of view."""
    places = np.argwhere(volume.voxels > 0.1)[:, axis]
    end = int(places.max() - share * (places.max() - places.min()))
    return Volume(np.ascontiguousarray(volume.voxels.take(range(end), axis=axis)), volume.affine)


def noisy(volume: Volume) -> Volume:
    noise = np.random.default_rng(0).normal(0, 0.1, volume.shape)
    return volume.with_voxels(
        np.where(volume.voxels > 0, np.abs(volume.voxels + noise), 0).astype(np.float32)
    )


COPIES: dict[str, Callable[[], Volume]] = {
    "left_half": lambda: without(scan(1), slice(32, None)),
    "right_half": lambda: without(scan(2), slice(0, 32)),
    "front_gone": lambda: cropped(scan(3), 1, 0.2),
    "top_gone": lambda: cropped(scan(4), 2, 0.2),
    "mirrored": lambda: scan(5).with_voxels(np.ascontiguousarray(scan(5).voxels[::-1])),
    "noise": lambda: noisy(scan(6)),
    "years_later": lambda: scan(7, years=4, scanner=1),
}


@cache
def cohort() -> Images:
    volumes = {f"s{i}": scan(i) for i in range(PEOPLE)} | {name: make() for name, make in COPIES.items()}
    rows = [ManifestRow(participant_id=name, scan_id=name, image=name) for name in volumes]
    return look_at(rows, lambda row: volumes[row.scan_id], workers=1)


def part(images: Images, names: list[str]) -> Images:
    """Some of the scans."""
    places = [images.scan_ids.index(name) for name in names]
    kept = tuple(names)
    return Images(
        kept, kept, kept, {c: v[places] for c, v in images.vectors.items()}, {c: v[places] for c, v in images.mirrored.items()}, {},
        seen={c: v[places] for c, v in images.seen.items()},
    )  # fmt: skip


@pytest.mark.parametrize(("person", "name"), list(enumerate(COPIES, 1)))
def test_a_copy_is_found_among_people_and_no_stranger(person: int, name: str) -> None:
    images = part(cohort(), [*(f"s{i}" for i in range(PEOPLE)), name])
    likeness = compare(images)
    found = [(images.scan_ids[one.first], images.scan_ids[one.second]) for one in likeness.pairs]
    assert likeness.neighbours is not None
    assert likeness.neighbours[-1][0] == person
    # Ten strangers are few to know a half or a very noisy brain by: it is the nearest, and nobody else is accused.
    few = name in {"left_half", "right_half", "noise"}
    assert found == [(f"s{person}", name)] or (few and not found)


def test_half_a_brain_is_told_by_its_own_half_alone() -> None:
    images = cohort()
    seen = dict(zip(images.scan_ids, images.seen["brain"], strict=True))
    assert seen["left_half"][0] > 0.8
    assert seen["left_half"][1] == 0
    assert seen["right_half"][0] == 0
    assert (seen["s0"] > 0.9).all()


def test_two_halves_of_two_sides_say_nothing_of_each_other_unless_mirrored() -> None:
    """A left half is never held against a right half but as its mirror image, as a stranger is."""
    both = [without(scan(1), slice(32, None)), without(scan(1), slice(0, 32))]
    rows = [ManifestRow(participant_id=f"p{i}", scan_id=f"p{i}", image="x") for i in range(2)]
    images = look_at(rows, lambda row: both[int(row.scan_id[1])], workers=1)
    assert all(one.correlation < 0.95 for one in compare(images).pairs)


def test_what_is_no_brain_has_no_shape() -> None:
    rng = np.random.default_rng(0)
    assert shape(Volume(np.zeros((9, 9, 9), np.float32), np.eye(4))) is None
    cloud = Volume(rng.uniform(0, 1, inside()[0].shape).astype(np.float32), np.eye(4))
    assert raw_shape(Sampled(cloud.voxels, inside()[0])) is None
    nothing = no_brain()
    assert nothing.halves.shape == (2, learned()[1].shape[1])
    assert not nothing.seen.any()


def test_a_registration_off_by_some_millimetres_is_mended() -> None:
    volume = prepared(scan(0))
    found = align(volume)
    assert found is not None
    off = found.transform.copy()
    off[:3, 3] += [2.0, -2.0, 1.5]
    right, moved = (mended(Scan(volume), transform) for transform in (found.transform, off))
    corners = inside()[1][:, :: inside()[1].shape[1] // 50]
    apart = (right - moved)[:3, :3] @ corners + (right - moved)[:3, 3:]
    assert float(np.linalg.norm(apart, axis=0).mean()) < 0.6 * float(np.linalg.norm([2.0, -2.0, 1.5]))


def test_too_little_of_a_brain_mends_nothing() -> None:
    volume = prepared(scan(0))
    elsewhere = np.eye(4)
    elsewhere[:3, 3] = 500.0
    assert (mended(Scan(volume), elsewhere) == elsewhere).all()


@pytest.mark.parametrize("window", [displacement.ROUGH, displacement.SHARP])
def test_a_shift_of_the_template_is_the_shift_that_is_found(window: displacement.Window) -> None:
    from voxtune.imaging import template

    still = template.template(96)
    shifted = still.affine.copy()
    shifted[0, 3] += 1.5
    sampled = Scan(Volume(still.voxels, shifted)).sample(np.eye(4))
    field = displacement.displacements(displacement.even(sampled, window), sampled.seen, window)
    weight = field.seen[..., None]
    mean = (field.shift * weight).sum(axis=(0, 1, 2)) / weight.sum()
    # In points of 3 mm: what lies 1.5 mm to the right shows what the template shows 1.5 mm to the left.
    assert mean == pytest.approx([-0.5, 0, 0], abs=0.2)


def test_contrast_changes_nothing() -> None:
    bent = scan(0).with_voxels((scan(0).voxels ** 1.6 * 700).astype(np.float32))
    one, other = shape(prepared(scan(0))), shape(prepared(bent))
    assert one is not None
    assert other is not None
    assert float((one.halves.astype(float) * other.halves).sum() / 2) > 0.95
    assert sampled_brain(prepared(bent)) is not None


def test_the_reference_of_strangers_belongs_to_the_directions_that_are_shipped() -> None:
    folder = resources.files("voxtune.audit")
    told = json.loads(folder.joinpath("reference.json").read_text("utf-8"))
    assert (
        told["sha256_of_brains_npz"] == hashlib.sha256(folder.joinpath("brains.npz").read_bytes()).hexdigest()
    )
    assert told["fitted_on"].count("SIMULATED") == 1
    assert told["highest_correlation"] < FLOOR
    assert learned()[0].size == learned()[1].shape[0]


def test_people_who_are_cropped_alike_stay_strangers_and_are_found_in_their_whole_brains() -> None:
    def bottom_gone(volume: Volume) -> Volume:
        places = np.argwhere(volume.voxels > 0.1)[:, 2]
        start = int(places.min() + 0.2 * np.ptp(places))
        affine = volume.affine.copy()
        affine[:3, 3] += affine[:3, 2] * start
        return Volume(np.ascontiguousarray(volume.voxels[:, :, start:]), affine)

    whole, cut = (
        np.stack([one.halves.astype(float).reshape(-1) for one in made if one is not None]) / np.sqrt(2)
        for made in (
            [shape(prepared(scan(i))) for i in range(5)],
            [shape(prepared(bottom_gone(scan(i)))) for i in range(5)],
        )
    )
    assert float(np.diag(cut @ whole.T).min()) > 0.6
    assert float((cut @ cut.T - np.eye(5)).max()) < 0.35


def test_threads_that_begin_together_see_the_same_brains(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = displacement.inside()
    displacement._inside.cache_clear()
    count = 8
    start = threading.Barrier(count)

    def first(_: int) -> int:
        start.wait()
        return id(displacement.inside()[0])

    slow = displacement.template.brain_mask
    monkeypatch.setattr(displacement.template, "brain_mask", lambda size: (time.sleep(0.05), slow(size))[1])
    with ThreadPoolExecutor(count) as pool:
        assert len(set(pool.map(first, range(count)))) == 1
    assert all(np.array_equal(one, other) for one, other in zip(kept, displacement.inside(), strict=True))
    for cached in (displacement._inner, displacement._whole_blur, displacement._template):
        cached.cache_clear()
