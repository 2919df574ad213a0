"""Random changes of training volumes by MONAI transforms, drawn from run, scan and epoch alone (extra ``augment``).

Which thread reads a scan, in which order and how many threads there are changes nothing; a resumed run draws what the
uninterrupted one would have drawn.
"""

import hashlib
import math
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from voxtune.config import AugmentSettings
from voxtune.errors import SettingError, UsageError
from voxtune.extras import install_line
from voxtune.imaging.presets import Preset

Augment = Callable[[Tensor, str, int], Tensor]
"""Volume (C, X, Y, Z), scan_id, epoch to the changed volume of the same shape."""


def augmentation(settings: AugmentSettings, preset: Preset, seed: int) -> Augment | None:
    """The random changes of a run, or ``None`` where they are off.

    A small rotation, scaling and shift with trilinear interpolation; then values are scaled, shifted and made noisy. Voxels at the
    bottom of the preset's range (outside the head, air) stay there, and no value leaves the range.

    Args:
        settings: how much may change.
        preset: its axes, size and range; intensity changes are shares of the range (HU on CT).
        seed: of the run.

    Raises:
        UsageError: MONAI is not installed.
        SettingError: the model tells background by one exact value.
    """
    if not settings.enabled:
        return None
    if preset.exact_background:
        raise SettingError(
            "augment.enabled",
            f"false with preset '{preset.name}': its model tells background by one exact value, which random changes would move",
            True,  # noqa: FBT003  (the setting)
        )
    try:
        import monai.transforms  # noqa: F401  (about ten seconds: only a run that augments waits for it)
    except ImportError:
        raise UsageError(
            f"augment.enabled needs MONAI: {install_line('augment')}, or --set augment.enabled=false."
        ) from None
    own = threading.local()  # transforms carry their generator, so every thread has its own

    def change(volume: Tensor, scan_id: str, epoch: int) -> Tensor:
        if not hasattr(own, "moves"):
            own.moves, own.values = _moves(settings, preset), _values(settings, preset)
        draw = _seed(seed, scan_id, epoch)
        low, high = preset.value_range
        first = volume[:1]  # further channels repeat it
        own.moves.set_random_state(seed=draw)
        moved = _plain(own.moves(first))
        own.values.set_random_state(seed=(draw + 1) % 2**32)
        changed = _plain(own.values(moved)).clamp(low, high)
        return torch.where(moved > low, changed, low).expand_as(volume).contiguous()

    return change


def _moves(settings: AugmentSettings, preset: Preset) -> Any:
    from monai.transforms import Compose, RandAffine, RandFlip

    angle = math.radians(settings.rotation)
    steps: list[Any] = [
        RandAffine(
            prob=settings.probability,
            rotate_range=[angle] * 3,
            scale_range=[settings.scaling] * 3,
            translate_range=[settings.shift * size for size in preset.size],
            mode="bilinear",
            padding_mode="border",
        )
    ]
    if settings.flip:
        sides = next(axis for axis, letter in enumerate(preset.axes) if letter in "RL")
        steps.append(RandFlip(prob=0.5, spatial_axis=sides))
    return Compose(steps)


def _values(settings: AugmentSettings, preset: Preset) -> Any:
    from monai.transforms import Compose, RandGaussianNoise, RandScaleIntensity, RandShiftIntensity

    low, high = preset.value_range
    chance, span = settings.probability, high - low
    return Compose(
        [
            RandScaleIntensity(factors=settings.intensity_scale, prob=chance),
            RandShiftIntensity(offsets=settings.intensity_shift * span, prob=chance),
            RandGaussianNoise(prob=chance, std=settings.noise * span, sample_std=False),
        ]
    )


def _plain(volume: Any) -> Tensor:
    """MONAI's tensor with metadata as a plain one."""
    plain = volume.as_tensor() if hasattr(volume, "as_tensor") else volume
    return torch.as_tensor(plain, dtype=torch.float32)


def _seed(seed: int, scan_id: str, epoch: int) -> int:
    """32 bits for a scan in an epoch of a run."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{scan_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
