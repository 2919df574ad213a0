"""What each model takes: a named way from a file to its input tensor.

A preset has two halves. The *chain* (``chain.py``) makes the volume that is stored: brain presets lie in template space,
CT presets at the model's spacing in Hounsfield units. ``tensor.to_tensor`` makes the model's tensor of it. DEFT applies its image
steps before every model of its tables, so the presets of general models (m3d, radfm, med3dvlm, medclip, biomedclip) start
with the brain chain too; ``to_tensor`` alone is what those models were published with.

Facts: backbones.md sections 2 (M3D), 3 (RadFM), 4 (Med3DVLM), 5.3 (CT-CLIP), 7 (Merlin), 9 (MedCLIP), 10 (BiomedCLIP);
backbones-2.md sections 17.3 (COLIPRI), 18.3 (NeuroVFM), 19.3 (BrainIAC).
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from voxtune.imaging import patches, template
from voxtune.imaging.bias import Bias
from voxtune.imaging.denoise import Denoise
from voxtune.imaging.intensity import Hounsfield, Intensity
from voxtune.imaging.kind import Wanted
from voxtune.imaging.register import Register
from voxtune.types.settings import Settings
from voxtune.types.volume import Volume


class Brain(Settings):
    """The steps from a head to a brain in template space (DEFT, method A1); ``None`` leaves a step out."""

    skull: Literal["deepbet", "none"] = "deepbet"
    denoise: Denoise | None = Denoise()
    bias: Bias | None = Bias()
    register_to: Register | None = Register()
    grid: int = Field(default=128, ge=16, le=256)
    """Voxels along each edge of the 192 mm cube that is stored."""
    intensity: Intensity = Intensity()


class RawHead(Settings):
    """A head as it was scanned: neither stripped nor registered; its values between two percentiles become [0, 1] (NeuroVFM)."""

    dark_percentile: float = patches.DARK_PERCENTILE
    """At or below it a voxel is background."""
    low_percentile: float = patches.LOW_PERCENTILE
    high_percentile: float = patches.HIGH_PERCENTILE


class Registered(Settings):
    """A brain that was stripped and laid on a template elsewhere: it is checked, and nothing is done to it."""

    template: str
    """Whose template, in words."""
    shape: tuple[int, int, int]
    origin: tuple[float, float, float]
    """World mm of the first voxel; 1 mm along axes that point as the preset's do."""


class Preset(Settings):
    """A named input: the steps that make the stored volume, and the tensor made of it."""

    name: str
    size: tuple[int, int, int]
    """(X, Y, Z) of the tensor."""
    spacing: tuple[float, float, float] | None
    """Millimetres along the tensor axes; ``None`` where the model takes whatever fills its size."""
    axes: str
    """Where the tensor axes point, as letters: ``SPL`` is superior, posterior, left."""
    channels: int = 1
    fit: Literal["cube", "foreground", "nearest", "crop_pad", "centred", "patches", "whole"]
    """How the stored volume becomes the tensor (``tensor.py``)."""
    steps: Brain | Hounsfield | RawHead | Registered
    region: Literal["head", "chest", "abdomen"] | None = Field(default=None, exclude=True)
    """Body region a CT preset is made for: what a scan is checked against. Changes no voxel, so it is not in records and
    keys, and a preset read from one has none and checks none."""
    mean: float = 0.0
    deviation: float = 1.0
    """The tensor is (value - mean) / deviation."""

    @property
    def tensor_shape(self) -> tuple[int, int, int, int]:
        """(C, X, Y, Z)."""
        return (self.channels, *self.size)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the volume that the chain stores, in the file's axes: RAS+ for a brain, ``axes`` for a CT."""
        if isinstance(self.steps, Brain):
            return (self.steps.grid,) * 3
        return self.steps.shape if isinstance(self.steps, Registered) else self.size

    @property
    def affine(self) -> NDArray[np.float64]:
        """Where the stored volume lies, mm (4, 4); a CT stays where it was scanned, so only its spacing is given."""
        if isinstance(self.steps, Brain):
            return template.field_of_view(self.steps.grid)
        if isinstance(self.steps, Registered):
            placed = np.diag([-1.0 if letter in "LPI" else 1.0 for letter in self.axes] + [1.0])
            placed[:3, 3] = self.steps.origin
            return placed
        return np.diag([*(self.spacing or (1.0, 1.0, 1.0)), 1.0])

    @property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest value a tensor can have; of one that is standardised, where nearly all of it lies."""
        if self.fit == "whole":
            return -5.0, 5.0
        if isinstance(self.steps, RawHead):
            return patches.ABSENT, 1.0
        if not isinstance(self.steps, Hounsfield):
            return 0.0, 1.0
        return (self.steps.low - self.mean) / self.deviation, (self.steps.high - self.mean) / self.deviation

    @property
    def wanted(self) -> Wanted:
        """What a scan must be, for the choice of a DICOM series and the check of modality, weighting and body region."""
        if isinstance(self.steps, Brain):
            return Wanted("MR", "T1", "head")
        if not isinstance(self.steps, Hounsfield):
            return Wanted("MR", region="head")
        return Wanted("CT", region=self.region)

    @property
    def absent(self) -> float:
        """What marks the patches of NeuroVFM that hold background."""
        return patches.ABSENT_HU if isinstance(self.steps, Hounsfield) else patches.ABSENT

    @property
    def in_steps(self) -> bool:
        """Whether 256 steps over ``value_range`` are enough for the training cache; 2000 Hounsfield units need float16."""
        return not isinstance(self.steps, Hounsfield) and self.fit != "whole"

    @property
    def exact_background(self) -> bool:
        """Whether the model tells background by one exact value, which no random change may touch."""
        return self.fit in {"patches", "whole"}

    @field_validator("axes")
    @classmethod
    def _three_directions(cls, axes: str) -> str:
        if sorted("".join(pair) for pair in ("RL", "AP", "SI") for letter in axes if letter in pair) != [
            "AP",
            "RL",
            "SI",
        ]:
            raise ValueError("expected three letters, one of R/L, A/P and S/I each")
        return axes


DEFT = Preset(
    name="deft", size=(128, 128, 128), spacing=(1.5, 1.5, 1.5), axes="SPL", fit="cube", steps=Brain(grid=128)
)
"""DEFT: 128^3 at 1.5 mm; slices first, rows to posterior, columns to left, as M3D was trained."""

TINY = Preset(
    name="tiny", size=(64, 64, 64), spacing=(3.0, 3.0, 3.0), axes="RAS", fit="cube", steps=Brain(grid=64)
)
"""The small backbone of the simulated cohort: 64^3 at 3 mm."""

M3D = Preset(
    name="m3d", size=(32, 256, 256), spacing=None, axes="SPL", fit="foreground", steps=Brain(grid=192)
)
"""M3D-CLIP: min-max, crop to the foreground, 32 x 256 x 256 trilinear."""

MED3DVLM = Preset(
    name="med3dvlm", size=(128, 256, 256), spacing=None, axes="SPL", fit="foreground", steps=Brain(grid=192)
)
"""Med3DVLM: as M3D at 128 x 256 x 256."""

RADFM = Preset(
    name="radfm",
    size=(512, 512, 64),
    spacing=None,
    axes="PLS",
    channels=3,
    fit="nearest",
    steps=Brain(grid=192),
)
"""RadFM: min-max, nearest neighbour to 512 x 512 x 64 (depth last), one channel three times."""

CT_CLIP = Preset(
    name="ct_clip", size=(240, 480, 480), spacing=(1.5, 0.75, 0.75), axes="SLP", fit="crop_pad",
    steps=Hounsfield(), region="chest", deviation=1000.0,
)  # fmt: skip
"""CT-CLIP: [-1000, 1000] HU / 1000 at 0.75 x 0.75 x 1.5 mm, centre crop and pad with -1."""

CT_CLIP_SMALL = Preset(
    name="ct_clip_small", size=(48, 64, 64), spacing=(7.5, 5.625, 5.625), axes="SLP", fit="crop_pad",
    steps=Hounsfield(), region="chest", deviation=1000.0,
)  # fmt: skip
"""The shrunken CT-CLIP: the field of view and values of ``ct_clip`` at 5.6 x 5.6 x 7.5 mm."""

MERLIN = Preset(
    name="merlin", size=(224, 224, 160), spacing=(1.5, 1.5, 3.0), axes="RAS", fit="crop_pad",
    steps=Hounsfield(), region="abdomen", mean=-1000.0, deviation=2000.0,
)  # fmt: skip
"""Merlin: [-1000, 1000] HU to [0, 1] at 1.5 x 1.5 x 3 mm, centre crop and pad with 0."""

MEDCLIP = Preset(
    name="medclip",
    size=(128, 128, 128),
    spacing=(1.5, 1.5, 1.5),
    axes="RAS",
    fit="cube",
    steps=Brain(grid=128),
)
"""MedCLIP, a 2D model that cuts the cube into axial slices itself (pad to a square, bicubic 224, its own mean)."""

BIOMEDCLIP = Preset(
    name="biomedclip",
    size=(128, 128, 128),
    spacing=(1.5, 1.5, 1.5),
    axes="RAS",
    fit="cube",
    steps=Brain(grid=128),
)
"""BiomedCLIP, a 2D model that cuts the cube into axial slices itself."""

COLIPRI = Preset(
    name="colipri", size=(192, 192, 192), spacing=(2.0, 2.0, 2.0), axes="RAS", fit="centred",
    steps=Hounsfield(), region="chest", deviation=1000.0,
)  # fmt: skip
"""COLIPRI since 0.1.2: 2 mm about the centre, [-1000, 1000] HU to [-1, 1], padded with the darkest value; axes RAS."""

COLIPRI_0_1_1 = Preset(
    name="colipri_0_1_1", size=(192, 192, 192), spacing=(2.0, 2.0, 2.0), axes="SAR", fit="centred",
    steps=Hounsfield(), region="chest", deviation=1000.0,
)  # fmt: skip
"""The same with the axes of releases 0.1.0 and 0.1.1, SAR: which of them the published weights saw is not documented."""

NEUROVFM = Preset(
    name="neurovfm", size=patches.CANVAS, spacing=(4.0, 1.0, 1.0), axes="IPR", fit="patches", steps=RawHead()
)
"""NeuroVFM on MRI of any weighting: the raw head at 1 x 1 x 4 mm, slices first (here axial ones; the scan decides)."""

NEUROVFM_CT = Preset(
    name="neurovfm_ct", size=patches.CANVAS, spacing=(4.0, 1.0, 1.0), axes="IPR", fit="patches",
    steps=Hounsfield(high=2000.0), region="head",
)  # fmt: skip
"""NeuroVFM on head CT: the same grid in Hounsfield units; the model cuts its three windows itself."""

TRAINED_VIEW = ((12, 170), (-7, 206), (21, 162))
"""The field of view of BrainIAC's training, 170 x 206 x 162 mm, in the 192 mm cube when its axes point to LAS: the network is given
the whole of it stretched to a cube, so another one would change the size of what it sees."""

BRAINIAC = Preset(
    name="brainiac",
    size=(96, 96, 96),
    spacing=None,
    axes="LAS",
    fit="whole",
    steps=Brain(grid=192, denoise=None),
)
"""BrainIAC on an adult template (ICBM 2009a in place of upstream's, as its authors advise): stripped, N4, registered, the field of
view of its training stretched to 96^3, z-scored inside."""

BRAINIAC_PAEDIATRIC = Preset(
    name="brainiac_paediatric", size=(96, 96, 96), spacing=None, axes="LAS", fit="whole",
    steps=Registered(template="the paediatric template (13 to 18.5 years) of BrainIAC's own script, temp_head.nii.gz",
                     shape=(170, 206, 162), origin=(84.0, -119.0, -69.0)),
)  # fmt: skip
"""BrainIAC as published, for whoever runs its script: a brain already stripped and laid on its paediatric template."""


def fits(volume: Volume, preset: Preset) -> bool:
    """Whether a volume is what the chain of this preset stores: its shape, its spacing, and for a brain its place."""
    from voxtune.imaging.orient import axis_codes

    if preset.fit == "patches":
        sizes = zip(volume.shape, preset.size, patches.PATCH, strict=True)
        return (
            axis_codes(volume.affine) in patches.AXES
            and all(have <= room and have % step == 0 for have, room, step in sizes)
            and bool(np.allclose(volume.spacing, preset.spacing or 0, atol=1e-3))
            and patches.is_marked(volume.voxels, preset.absent)
        )
    if volume.shape != preset.shape:
        return False
    if isinstance(preset.steps, Brain | Registered):
        return bool(np.allclose(volume.affine, preset.affine, atol=1e-3))
    return axis_codes(volume.affine) == preset.axes and bool(
        np.allclose(volume.spacing, preset.spacing or 0, atol=1e-3)
    )
