"""What is done to real heads and brains: 30 distortions that a verdict must catch, 60 forms of storage that it must not mind.

A distortion changes what a scan shows, or where its header says things are, so that the volume made of it is no brain or a
wrong one. A good form is the same scan written otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from voxtune.imaging.orient import orient
from voxtune.imaging.read import read_scan
from voxtune.imaging.resample import resample
from voxtune.imaging.write import write_volume
from voxtune.types.volume import Volume

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Source:
    """A real scan, axes RAS+, and where its brain or head is."""

    name: str
    volume: Volume
    inside: NDArray[np.bool_]
    labels: Volume | None = None


def source(path: Path, labels: Path | None = None) -> Source:
    """A scan with its background at 0; one of 1 mm is averaged to 2 mm, at which a case takes seconds."""
    volume = halved(orient(read_scan(path), "RAS"))
    bright = np.percentile(volume.voxels[volume.voxels > 0], 99)
    pieces, _ = ndimage.label(volume.voxels > 0.1 * bright)
    largest = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    inside = np.asarray(ndimage.binary_fill_holes(largest))
    names = None if labels is None else orient(read_scan(labels), "RAS")
    if names is not None and names.shape != volume.shape:
        names = resample(names, volume.shape, volume.affine, nearest=True)
    return Source(path.name.split(".")[0], volume, inside, names)


def halved(volume: Volume) -> Volume:
    """Averages of 2 x 2 x 2 voxels, in whole numbers, of a volume of 1 mm; others as they are."""
    if min(volume.spacing) > 1.5:
        return volume
    i, j, k = (n // 2 for n in volume.shape)
    blocks = volume.voxels[: 2 * i, : 2 * j, : 2 * k].reshape(i, 2, j, 2, k, 2)
    affine = volume.affine.copy()
    affine[:3, :3] *= 2
    affine[:3, 3] += volume.affine[:3, :3] @ [0.5, 0.5, 0.5]
    return Volume(np.round(blocks.mean(axis=(1, 3, 5))).astype(np.float32), affine)


# ------------------------------------------------------------------------------------- distortions
def _rng(one: Source) -> np.random.Generator:
    return np.random.default_rng(sum(one.name.encode()))


def _like(one: Source, voxels: Array) -> Volume:
    return one.volume.with_voxels(np.ascontiguousarray(voxels, dtype=np.float32))


def _axes(order: tuple[int, int, int], flips: tuple[int, ...] = ()) -> Callable[[Source], Volume]:
    """The voxel axes turned and the header left as it was."""

    def change(one: Source) -> Volume:
        voxels = (
            np.flip(one.volume.voxels.transpose(order), flips)
            if flips
            else one.volume.voxels.transpose(order)
        )
        spacing = np.asarray(one.volume.spacing)[list(order)]
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = -(np.asarray(voxels.shape) - 1) / 2 * spacing
        return Volume(np.ascontiguousarray(voxels), affine)

    return change


def _cut(axis: int, low: float, high: float) -> Callable[[Source], Volume]:
    """Nothing between two shares of the extent of what is inside."""

    def change(one: Source) -> Volume:
        along = np.flatnonzero(one.inside.any(axis=tuple(i for i in range(3) if i != axis)))
        ends = along[0] + np.asarray([low, high]) * (along[-1] + 1 - along[0])
        voxels = one.volume.voxels.copy()
        np.moveaxis(voxels, axis, 0)[int(ends[0]) : int(ends[1])] = 0
        return _like(one, voxels)

    return change


def _filled(make: Callable[[Source], Array]) -> Callable[[Source], Volume]:
    return lambda one: _like(one, make(one))


def _bright(one: Source) -> float:
    return float(np.percentile(one.volume.voxels[one.inside], 99))


def soft_silhouette(one: Source) -> Array:
    return np.asarray(
        800 * ndimage.gaussian_filter(one.inside.astype(np.float32), 2.0 / min(one.volume.spacing))
    )


def noisy_silhouette(one: Source) -> Array:
    return np.asarray(np.where(one.inside, 500 + 60 * _rng(one).standard_normal(one.inside.shape), 0))


def shaded_silhouette(one: Source) -> Array:
    field = ndimage.gaussian_filter(
        _rng(one).standard_normal(one.inside.shape), 25.0 / min(one.volume.spacing)
    )
    return np.asarray(np.where(one.inside, 600 * np.exp(0.3 * field / field.std()), 0))


def labelled(one: Source) -> Array:
    if one.labels is not None:
        return one.labels.voxels
    return np.asarray(np.where(one.inside, 1 + np.indices(one.inside.shape).sum(axis=0) // 25 % 7, 0))


def white_noise(one: Source) -> Array:
    return np.asarray(_rng(one).normal(500, 100, one.inside.shape))


def drowned(one: Source) -> Array:
    noise = 1.5 * _bright(one) * _rng(one).standard_normal((2, *one.inside.shape), dtype=np.float32)
    return np.asarray(np.hypot(one.volume.voxels + noise[0], noise[1]))


def shuffled_voxels(one: Source) -> Array:
    voxels = one.volume.voxels.copy()
    voxels[one.inside] = _rng(one).permutation(voxels[one.inside])
    return voxels


def shuffled_slices(one: Source) -> Array:
    voxels = one.volume.voxels.copy()
    along = np.flatnonzero(one.inside.any(axis=(0, 1)))
    voxels[:, :, along] = voxels[:, :, _rng(one).permutation(along)]
    return voxels


def inverted(one: Source) -> Array:
    return one.volume.voxels.max() - one.volume.voxels


def inverted_inside(one: Source) -> Array:
    return np.where(one.inside, np.maximum(1.1 * _bright(one) - one.volume.voxels, 0), 0)


def saturated(one: Source) -> Array:
    return np.minimum(one.volume.voxels, np.percentile(one.volume.voxels[one.inside], 15))


def blurred(one: Source) -> Array:
    return np.asarray(
        ndimage.gaussian_filter(one.volume.voxels, [12.0 / step for step in one.volume.spacing])
    )


def wrapped(one: Source) -> Array:
    """Folded over by half the field of view."""
    voxels = one.volume.voxels
    middle = int(np.flatnonzero(one.inside.any(axis=(0, 2))).mean())
    return np.roll(voxels, middle, axis=1)


def blank_slices(one: Source) -> Array:
    voxels = one.volume.voxels.copy()
    voxels[:, :, ::2] = 0
    return voxels


def cerebrospinal(one: Source) -> Array:
    """The contrast of T2: fluid brightest, white matter darkest."""
    return np.where(one.inside, _bright(one) * np.exp(-2.5 * one.volume.voxels / _bright(one)), 0)


def grey_map(one: Source) -> Array:
    """A map of grey matter in place of the scan."""
    share = one.volume.voxels / _bright(one)
    return np.where(one.inside, np.exp(-(((share - 0.6) / 0.08) ** 2)), 0)


def blobs(one: Source) -> Array:
    field = ndimage.gaussian_filter(
        _rng(one).standard_normal(one.inside.shape), 6.0 / min(one.volume.spacing)
    )
    return np.asarray(np.where(one.inside, 500 + 120 * field / field.std(), 0))


def _scaled(*factors: float) -> Callable[[Source], Volume]:
    """Another voxel size in the header than the scanner's."""
    return lambda one: Volume(one.volume.voxels, np.diag([*factors, 1.0]) @ one.volume.affine)


DISTORTIONS: dict[str, Callable[[Source], Volume]] = {
    "axes turned once (cyclic)": _axes((1, 2, 0)),
    "front and back swapped": _axes((0, 1, 2), (1,)),
    "upside down": _axes((0, 1, 2), (2,)),
    "turned by 90 degrees about the vertical": _axes((1, 0, 2), (0,)),
    "turned by 90 degrees about left-right": _axes((0, 2, 1), (1,)),
    "left half missing": _cut(0, 0.0, 0.5),
    "front half missing": _cut(1, 0.5, 1.0),
    "upper half missing": _cut(2, 0.5, 1.0),
    "middle third missing": _cut(1, 0.34, 0.66),
    "upper third missing": _cut(2, 0.67, 1.0),
    "folded over by half": _filled(wrapped),
    "every other slice blank": _filled(blank_slices),
    "slices in another order": _filled(shuffled_slices),
    "binary mask": _filled(lambda one: one.inside.astype(np.float32)),
    "soft silhouette": _filled(soft_silhouette),
    "silhouette with noise": _filled(noisy_silhouette),
    "silhouette with shading": _filled(shaded_silhouette),
    "silhouette with blobs": _filled(blobs),
    "label image": _filled(labelled),
    "white noise": _filled(white_noise),
    "drowned in noise": _filled(drowned),
    "voxels shuffled": _filled(shuffled_voxels),
    "inverted": _filled(inverted),
    "inverted inside": _filled(inverted_inside),
    "contrast of T2": _filled(cerebrospinal),
    "map of grey matter": _filled(grey_map),
    "saturated": _filled(saturated),
    "blurred to 28 mm": _filled(blurred),
    "voxel size 0.33 times": _scaled(0.33, 0.33, 0.33),
    "slices twice as far apart": _scaled(1.0, 1.0, 2.0),
}


# -------------------------------------------------------------------------------------- good forms
def _nifti(  # noqa: PLR0913  (what a header can hold)
    dtype: str = "f4",
    *,
    kind: type = nibabel.Nifti1Image,
    codes: tuple[int, int] = (1, 1),
    slope: float = 1.0,
    end: str = ".nii",
    axes: str = "RAS",
    big: bool = False,
    four: bool = False,
) -> Callable[[Source, Path], Path]:
    """Written by nibabel."""

    def write(one: Source, folder: Path) -> Path:
        volume = orient(one.volume, axes)
        stored = np.round(volume.voxels / slope) if dtype[0] in "iu" else volume.voxels
        stored = stored.clip(0, np.iinfo(dtype).max) if dtype[0] in "iu" else stored
        header = kind.header_class(endianness=">" if big else "<")
        array = stored.astype((">" if big else "<") + dtype)
        image = kind(array[..., None] if four else array, volume.affine, header)
        image.header.set_data_dtype(array.dtype)
        image.set_qform(volume.affine if codes[0] else None, codes[0])
        image.set_sform(volume.affine if codes[1] else None, codes[1])
        path = folder / f"scan{end}"
        if slope != 1.0:
            data = bytearray(image.to_bytes())
            data[112:120] = np.asarray([slope, 0], dtype="<f4").tobytes()
            path.write_bytes(data)
        else:
            nibabel.save(image, path)
        return path

    return write


def _changed(change: Callable[[Source], Volume]) -> Callable[[Source, Path], Path]:
    return lambda one, folder: write_volume(change(one), folder / "scan.nii")


def _mgz(one: Source, folder: Path) -> Path:
    nibabel.save(nibabel.MGHImage(one.volume.voxels, one.volume.affine), folder / "scan.mgz")
    return folder / "scan.mgz"


def _by_itk(end: str) -> Callable[[Source, Path], Path]:
    def write(one: Source, folder: Path) -> Path:
        import SimpleITK

        image = SimpleITK.GetImageFromArray(np.ascontiguousarray(one.volume.voxels.transpose(2, 1, 0)))
        lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ one.volume.affine
        image.SetSpacing([float(step) for step in one.volume.spacing])
        image.SetDirection((lps[:3, :3] / one.volume.spacing).ravel().tolist())
        image.SetOrigin(lps[:3, 3].tolist())
        SimpleITK.WriteImage(image, str(folder / f"scan{end}"), useCompression=True)
        return folder / f"scan{end}"

    return write


def _affine_of_brightness(scale: float, offset: float) -> Callable[[Source, Path], Path]:
    return _changed(lambda one: _like(one, one.volume.voxels * scale + offset))


def _standardised(one: Source) -> Volume:
    return _like(one, (one.volume.voxels - one.volume.voxels.mean()) / one.volume.voxels.std())


def _between_minus_one_and_one(one: Source) -> Volume:
    return _like(one, one.volume.voxels / one.volume.voxels.max() * 2 - 1)


def _oblique(one: Source) -> Volume:
    from scipy.spatial.transform import Rotation

    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", (15, -10, 8), degrees=True).as_matrix()
    return Volume(one.volume.voxels, turn @ one.volume.affine)


def _padded(one: Source) -> Volume:
    affine = one.volume.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, 20)
    return Volume(np.pad(one.volume.voxels, 20), affine)


def _cropped(one: Source) -> Volume:
    where = np.argwhere(one.inside)
    low, high = np.maximum(where.min(0) - 2, 0), where.max(0) + 3
    affine = one.volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    return Volume(np.ascontiguousarray(one.volume.voxels[tuple(map(slice, low, high))]), affine)


def _slightly_noisy(one: Source) -> Volume:
    noise = 0.03 * _bright(one) * _rng(one).standard_normal((2, *one.inside.shape), dtype=np.float32)
    return _like(one, np.where(one.volume.voxels > 0, np.hypot(one.volume.voxels + noise[0], noise[1]), 0))


def _shaded(one: Source) -> Volume:
    field = ndimage.gaussian_filter(
        _rng(one).standard_normal(one.inside.shape), 30.0 / min(one.volume.spacing)
    )
    return _like(one, one.volume.voxels * np.exp(0.15 * field / field.std()))


def _thick(one: Source) -> Volume:
    """Slices of 3 mm."""
    affine = one.volume.affine.copy()
    factor = 3.0 / one.volume.spacing[2]
    affine[:3, 2] *= factor
    i, j, k = one.volume.shape
    return resample(one.volume, (i, j, int(k / factor)), affine)


FORMS: dict[str, Callable[[Source, Path], Path]] = {
    "float32": _nifti(),
    "float64": _nifti(dtype="f8"),
    "int16": _nifti(dtype="i2"),
    "int32": _nifti(dtype="i4"),
    "uint16 with a slope": _nifti(dtype="u2", slope=0.5),
    "8 bits with a slope": _nifti(dtype="u1", slope=8.0),
    "big-endian": _nifti(dtype="i2", big=True),
    "NIfTI-2, gzip": _nifti(kind=nibabel.Nifti2Image, end=".nii.gz"),
    "pair of .hdr and .img": _nifti(kind=nibabel.Nifti1Pair, end=".img"),
    "4D with one volume": _nifti(four=True),
    "qform alone": _nifti(codes=(1, 0)),
    "sform alone": _nifti(codes=(0, 1)),
    "axes LPS": _nifti(axes="LPS"),
    "axes PIR": _nifti(axes="PIR"),
    "axes ASL": _nifti(axes="ASL"),
    "axes LIA": _nifti(axes="LIA"),
    ".mgz": _mgz,
    ".nrrd": _by_itk(".nrrd"),
    ".mha": _by_itk(".mha"),
    "times 0.00001": _affine_of_brightness(1e-5, 0),
    "times 100000": _affine_of_brightness(1e5, 0),
    "plus 1000": _affine_of_brightness(1, 1000),
    "minus 100": _affine_of_brightness(1, -100),
    "standardised": _changed(_standardised),
    "from -1 to 1": _changed(_between_minus_one_and_one),
    "oblique header": _changed(_oblique),
    "padded": _changed(_padded),
    "cropped to its outline": _changed(_cropped),
    "a little noise and shading": _changed(lambda one: _shaded(one) if one.labels else _slightly_noisy(one)),
    "slices of 3 mm": _changed(_thick),
}
