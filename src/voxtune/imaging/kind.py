"""What a scan is of, by what its header and its picture say, against what a preset takes.

The header's modality is believed: a preset for CT refuses an MR scan and the other way round. Echo times are physics: a long
one is no T1. Body part and description are typed by people and often wrong, so they alone warn; where the picture agrees,
the scan is refused.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging.hounsfield import in_hounsfield
from voxtune.types.volume import Volume

LONG_ECHO_MS = 60.0
"""Beyond it a spin echo is T2-weighted; echoes of T1 sequences are shorter than 20 ms."""
FLAIR_INVERSION_MS = (1400.0, 3200.0)
"""Inversion times that null cerebrospinal fluid."""
NAMES = {"CT": "a CT", "MR": "an MR scan", "PT": "a PET scan"}
_WORDS = (
    ("T1", r"t1w?|mp2?rage|f?spgr|bravo|vibe"),
    ("FLAIR", r"flair|dark.?fluid|tirm"),
    ("T2", r"t2\w?|t2star\w?|haste|ciss|fiesta"),
    (
        "another contrast",
        r"pdw?|dwi|dti|adc|ep2d|bold|epi|fmri|rest|swi|asl|diff(usion)?|tof|perf(usion)?|trace\w?",
    ),
)
_REGIONS = (
    ("head", r"head|brain|skull|cranium|schaedel|sch.del|kopf|neuro"),
    ("chest", r"chest|thorax|lungs?|breast|heart|cardiac|ribs?"),
    ("abdomen", r"abdomen|abdo|liver|kidneys?|pelvis"),
    ("limbs", r"knee|ankle|foot|wrist|elbow|shoulder|extremity"),
    ("spine", r"[ctl]?spine"),
)
SUFFIXES = {"t1w", "t2w", "flair", "pdw", "t2starw", "bold", "dwi", "asl", "swi", "t1map", "t2map", "angio"}
"""Of a BIDS file name; anything else in a name is its owner's word for something else."""
SIDECAR_BYTES = 2_000_000
HEAD_WIDTH_MM, HEAD_BONE, LUNG_ML, HEAD_LITRES = 260.0, 0.10, 50.0, (1.5, 8.0)
"""A head is narrower than a chest, holds no lung, and a tenth of it or more is bone, which a child's abdomen has not."""
LEAST_LUNG_ML, MOST_LUNG_ML = 150.0, 12_000.0
"""A chest CT shows more lung, unless both lungs are consolidated; nobody's lungs hold more than the second."""


LUNG_CUT = 0.6
"""Section of both lungs at an end of a chest CT against their widest: none where the whole of them was scanned, 0.4 in a scan of the
heart, more where a half is missing."""


@dataclass(frozen=True)
class Kind:
    """What a header says a scan is; ``None`` where it does not."""

    modality: str | None = None
    """CT, MR, PT."""
    region: str | None = None
    """Body part as it stands in the header."""
    words: str = ""
    """Description and protocol, as a person typed them."""
    echo_ms: float | None = None
    repetition_ms: float | None = None
    inversion_ms: float | None = None
    units: str | None = None
    """Of a CT whose header says that its numbers are something else than Hounsfield units (RescaleType)."""


@dataclass(frozen=True)
class Wanted:
    """What a preset takes; ``None``: anything."""

    modality: Literal["CT", "MR"] | None = None
    weighting: Literal["T1"] | None = None
    region: Literal["head", "chest", "abdomen"] | None = None


def check_kind(scan: str | Path, kind: Kind, volume: Volume, wanted: Wanted) -> tuple[str, ...]:
    """Refuse a scan that the preset cannot take; what is only likely comes back as sentences.

    Raises:
        ScanError: another modality, another weighting by its echo time, or another body region by header and picture.
    """
    if wanted.modality is not None and kind.modality in NAMES and kind.modality != wanted.modality:
        raise ScanError(
            scan,
            f"its header says that it is {NAMES[kind.modality]}; this preset takes {NAMES[wanted.modality]}",
        )
    notes = []
    if wanted.modality == "MR" and kind.modality is None and in_hounsfield(volume.voxels):
        notes.append("its numbers look like the Hounsfield units of a CT; this preset takes an MR scan")
    if wanted.weighting is not None:
        timed, called = by_timing(kind), by_words(kind.words)
        if timed is not None:
            raise ScanError(
                scan,
                f"its echo time of {kind.echo_ms:.0f} ms is that of a {timed} image; this preset takes T1-weighted ones",
            )
        if called not in (None, wanted.weighting):
            notes.append(f"its name says {called}, this preset takes T1-weighted images")
    return (*notes, *_check_region(scan, kind, volume, wanted))


def _check_region(scan: str | Path, kind: Kind, volume: Volume, wanted: Wanted) -> list[str]:
    """Refuse a scan of another body region by header and picture; where only one of them says so, a sentence."""
    notes: list[str] = []
    if wanted.region is not None:
        said = by_region(kind)
        seen = None
        if wanted == Wanted("CT", region="head") and not looks_like_head_ct(volume, bone=0):
            notes.append("it does not look like a head: wide, or with lung; this preset takes the head")
        if wanted.region != "head" and looks_like_head_ct(
            volume, bone=0 if wanted.region == "chest" else HEAD_BONE
        ):
            seen = "head"
        if said == seen == "head":
            raise ScanError(
                scan,
                f"its header says head and it looks like one; this preset takes a CT of the {wanted.region}",
            )
        if said is not None and said != wanted.region and {said, wanted.region} != {"chest", "abdomen"}:
            notes.append(f"its header says {said}, this preset takes the {wanted.region}")
        if seen is not None:
            notes.append(
                f"it looks like a {seen}: narrow, without lung; this preset takes the {wanted.region}"
            )
        elif wanted.region == "chest":
            notes += _lungs(volume)
    return notes


def _lungs(volume: Volume) -> list[str]:
    """A sentence where a chest shows hardly any lung, or its lungs are cut off at an end."""
    voxels, step = _coarse(volume)
    if (ml := lung_ml(voxels, step)) < LEAST_LUNG_ML:
        return [f"it shows hardly any lung ({ml:.0f} ml); this preset takes the chest"]
    if ml > MOST_LUNG_ML:
        return [
            f"it shows {ml / 1e3:.0f} litres of lung, more than a body has: the voxel size of its header may be wrong"
        ]
    long = int(np.argmax(np.abs(volume.affine[2, :3])))
    areas = np.count_nonzero(np.moveaxis(_lung(voxels), long, 0), axis=(1, 2))
    across = tuple(axis for axis in range(3) if axis != long)
    filled = np.flatnonzero(np.ptp(voxels, axis=across) > 0)
    # Erosion leaves nothing at a border, so the ends are the slices beside it.
    ends = areas[[filled[0] + 1, filled[-1] - 1]][:: 1 if volume.affine[2, long] > 0 else -1]
    return [
        f"its lungs reach beyond its {name} end ({share:.0%} of their widest section there): a part may be missing"
        for name, share in zip(("lower", "upper"), ends / areas.max(), strict=True)
        if share > LUNG_CUT
    ]


def weighting(kind: Kind) -> str | None:
    """T1, T2, FLAIR or another contrast, by echo time, else by the words; ``None`` where neither says."""
    return by_timing(kind) or by_words(kind.words)


def by_timing(kind: Kind) -> str | None:
    """T2 or FLAIR where the echo time is that of one; a short echo says nothing."""
    if kind.echo_ms is None or kind.echo_ms < LONG_ECHO_MS:
        return None
    low, high = FLAIR_INVERSION_MS
    return "FLAIR" if kind.inversion_ms is not None and low <= kind.inversion_ms <= high else "T2"


def by_words(words: str) -> str | None:
    """The weighting that a description names; T1 wins, since there is a T1 FLAIR."""
    for name, pattern in _WORDS:
        if re.search(rf"(?<![a-z0-9])({pattern})(?![a-z0-9])", words, re.IGNORECASE):
            return name
    return None


def by_region(kind: Kind) -> str | None:
    """The body region that the header names: by its body part, else by its description."""
    for text in (kind.region or "", kind.words):
        found = {
            name
            for name, pattern in _REGIONS
            if re.search(rf"(?<![a-z])({pattern})(?![a-z])", text.replace("_", " "), re.IGNORECASE)
        }
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def looks_like_head_ct(volume: Volume, bone: float = HEAD_BONE) -> bool:
    """Whether a CT in Hounsfield units shows a head: narrow, so much bone, no lung; on a grid of about 4 mm."""
    from scipy import ndimage

    voxels, step = _coarse(volume)
    tissue = voxels > -300
    parts, count = ndimage.label(tissue)
    if count == 0:
        return False
    largest = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    litres = float(np.count_nonzero(largest) * np.prod(step) / 1e6)
    # The axis along the body is the world's third.
    long = int(np.argmax(np.abs(volume.affine[2, :3])))
    widths = [
        step[axis] * np.count_nonzero(largest.any(axis=tuple(other for other in range(3) if other != axis)))
        for axis in range(3)
        if axis != long
    ]
    return (
        max(widths) < HEAD_WIDTH_MM
        and HEAD_LITRES[0] < litres < HEAD_LITRES[1]
        and lung_ml(voxels, step) < LUNG_ML
        and float(np.mean(voxels[largest] > 300)) >= bone
    )


def lung_ml(voxels: NDArray[np.float32], step: NDArray[np.float64]) -> float:
    """Millilitres of voxels like lung, without the shell that every surface has; ``step`` in mm."""
    return float(np.count_nonzero(_lung(voxels)) * np.prod(step) / 1e3)


def _lung(voxels: NDArray[np.float32]) -> NDArray[np.bool_]:
    from scipy import ndimage

    return np.asarray(ndimage.binary_erosion((voxels > -950) & (voxels < -600)))


def _coarse(volume: Volume) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Voxels about 4 mm apart, and their distances, mm."""
    every = [max(1, round(4.0 / step)) for step in volume.spacing]
    return volume.voxels[:: every[0], :: every[1], :: every[2]], np.array(volume.spacing) * every


def kind_of_file(path: Path, name: str | None = None) -> Kind:
    """What a NIfTI file's name (``name``, where it was renamed), and the JSON sidecar of dcm2niix or BIDS beside it, say."""
    stem = re.sub(r"(\.(nii|img|mgh))?\.\w+$", "", path.name, flags=re.IGNORECASE)
    return kind_of_sidecar(_json(path.with_name(f"{stem}.json")), stem if name is None else name)


def kind_of_sidecar(said: dict[str, Any], name: str) -> Kind:
    """What a sidecar says (BIDS: times in seconds) of a file called ``name``."""
    suffix = name.rsplit("_", 1)[-1]
    words = [
        *[suffix] * (suffix.lower() in SUFFIXES),
        *(str(said.get(key) or "") for key in ("SeriesDescription", "ProtocolName", "SequenceName")),
    ]
    return Kind(
        modality=str(said.get("Modality") or "").upper() or None,
        region=str(said.get("BodyPartExamined") or "") or None,
        words=" ".join(words),
        echo_ms=_milliseconds(said.get("EchoTime")),
        repetition_ms=_milliseconds(said.get("RepetitionTime")),
        inversion_ms=_milliseconds(said.get("InversionTime")),
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file() or path.stat().st_size > SIDECAR_BYTES:
            return {}
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _milliseconds(seconds: object) -> float | None:
    return (
        float(seconds) * 1e3 if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None
    )
