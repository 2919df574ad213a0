"""Label one more head for ``train_regions``: the atlas laid on it by registration, then corrected by the brightness of the head itself.

    python benchmarks/volumes/label_head.py HEAD.nii.gz OUT.npz

Needs antspyx. The shipped network: the T1 of the studyforrest project (public domain, PDDL). A label map made so is no hand-drawn truth: it
adds the folds, the sharpness and the noise of a real head to what the network is painted on.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxtune.imaging import template
from voxtune.imaging.chain import preprocess_scan
from voxtune.segmentation.correct import corrected
from voxtune.segmentation.labels import numbers
from voxtune.segmentation.measure import PRESET
from voxtune_recipes.train_regions import average_brain

BOX = np.s_[20:172, 4:188, 14:178]
"""Of the cube, around every brain."""


def registered(head: NDArray[np.float32]) -> NDArray[np.int64]:
    """The atlas on the head: ANTs SyN with cross-correlation at 1 mm."""
    import ants

    average, regions = average_brain()
    origin = [float(o + BOX[axis].start) for axis, o in enumerate(template.field_of_view(192)[:3, 3])]

    def image(voxels: NDArray[np.generic]) -> object:
        return ants.from_numpy(
            np.ascontiguousarray(voxels[BOX]).astype("float32"), origin=origin, spacing=[1, 1, 1]
        )

    found = ants.registration(
        image(head), image(average), "SyNOnly", initial_transform="Identity", syn_metric="CC", syn_sampling=2,
        reg_iterations=(60, 40, 8), random_seed=1,
    )  # fmt: skip
    moved = ants.apply_transforms(
        image(head), image(regions), found["fwdtransforms"], interpolator="genericLabel"
    )
    out = np.zeros(head.shape, dtype=np.int64)
    out[BOX] = moved.numpy().round().astype(np.int64)
    return out


def main() -> None:
    """Write brightness (``t``) and labels by FreeSurfer's numbers (``l``) on the cube of the template."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("head", type=Path)
    arguments.add_argument("out", type=Path)
    given = arguments.parse_args()
    head = preprocess_scan(given.head, PRESET).volume.voxels
    found = corrected(head, registered(head))
    np.savez_compressed(given.out, t=head, l=numbers(0)[found].astype(np.int16))


if __name__ == "__main__":
    main()
