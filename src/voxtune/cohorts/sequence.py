"""Which MR sequence an image is, by its sidecar, the words of its path and its file name; which of several is the T1 to take.

The words are those scanners and archives write: MPRAGE, MP-RAGE, MPR, IR-SPGR, FSPGR, BRAVO and TFE are magnetisation-prepared or
spoiled T1 and come before any other T1; FLAIR, PD, T2, localizers, calibration, diffusion, PET and masks are never a T1.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from voxtune.storage.read import OddFileError, whole_bytes

UNKNOWN, T1, T1_BEST = "unknown", "T1", "T1 (MPRAGE or SPGR)"
OTHER: Mapping[str, str] = MappingProxyType({
    "localizer": r"locali[sz]er|scout|survey|smart ?brain|3 ?plane|three ?plane|tri ?plane|2 ?plane",
    "calibration": r"calibration|\bcal\b|shim|phantom|b1 ?map|b0 ?map|coil ?sens|\bnoise\b",
    "field map": r"field ?map|\bfmap\b|gre ?field|phasediff|magnitude\d?\b|topup",
    "PET": r"\bpet\b|\bpt\b|fdg|florbeta|flor?betapir|florta|flute|\bav ?45\b|\bav ?1451\b|\bfbb\b|\bfbp\b|\bftp\b|\bpib\b|pittsburgh"
           r"|\bmk ?6240\b|\bnav ?4694\b|\btau\b|amyloid|\b18f|\b11c|coreg avg|\buniform resolution\b|\btrc\b|\bspect\b|\bsuvr?\b",
    "FLAIR": r"flair",
    "T2": r"(?<![a-z])t2(?!\d)|t2 ?star|t2w|t2starw|hippo ?campus ?high|high ?res ?hippo|\bswi\b|swan|\bmerge\b|\bhemo\b|\bt2map\b|ciss|fiesta"
          r"|space ?t2|double ?tse|dual ?(tse|echo|fse)",
    "proton density": r"\bpd\b|pdw|pdt2|proton ?dens",
    "diffusion": r"\bdti\b|\bdwi\b|\bdki\b|noddi|diffusion|trace ?w|\badc\b|\bfa\b|tensor|\bhardi\b",
    "functional": r"fmri|\bbold\b|\bsbref\b|resting ?state|\brest(ing)?\b|rs ?f?mri|\bepi\b|eyes ?open|eyes ?closed",
    "perfusion": r"\basl\b|pcasl|pasl|perfusion|\bcbf\b|relcbf|m0scan|moco",
    "angiography": r"\bmra\b|\btof\b|angio|\bmip\b|venogra",
    "spectroscopy": r"\bmrs\b|mrsi|spectro|\bpress\b",
    "CT": r"\bct\b|topogram",
    "mask or labels": r"\bmask\b|segmentation|\bseg\b|dseg|probseg|aseg|aparc|labels?\b|\bharp\b|parcel|hippocampal mask|\broi\b|tissue",
    "warp or map": r"warp ?field|\bwarped\b|\bxfm\b|jacobian|\btbm\b|t1 ?map|\bt1rho\b|\bmtr\b|thickness|inv ?[12]\b",
})  # fmt: skip
"""Kinds that are never taken as a T1, and the words for them (in lower case, punctuation as spaces)."""
_BELIEVED = frozenset({"localizer", "FLAIR", "T2", "proton density", "mask or labels"})
"""What a sidecar may say against a path that says T1: names of studies and protocols in it also have words such as ``fmri``."""
_BEST = re.compile(
    r"mp ?rag|mp2rage|unit1|\bmpr\b|spgr|\bbravo\b|\btfe\b|\btfl\b|\btfl3d|turbo ?flash|mdeft|\bmt1\b|\badni ?t1\b|magnetization prepared"
)
_T1 = re.compile(r"(?<![a-z])t1(?!\d|rho| ?map)|t1w|t1weighted")
_T1_FLAIR = re.compile(r"t1 ?flair|flair ?t1")
_REPEAT = re.compile(r"repeat|\brpt\b|\bmpr r\b|\brep\b|second|\bscaled 2\b")
_DERIVED = re.compile(
    r"mask|strip|normali[sz]ed|\bbrain\b|\bmpr (cor|tra|sag|ax)\b|reformat|\bdesc\b|space mni|registered|\bbet\b"
)
_WEAK = re.compile(r"\b(pd|ct|fa|rest|cal|tau|merge|press)\b")
"""Short words that also stand for a disease, a place or a project: beside a sign of a T1 in the same name they tell nothing."""
_LABELS = re.compile(r"(?<![A-Za-z0-9])(sub|ses|run|echo|chunk)-[A-Za-z0-9]+")
"""Parts of BIDS names that tell nothing of the sequence: ``ses-T2`` is the second visit."""
_ECHO = 0.04
"""Seconds; a T1 has an echo time of 2 to 20 ms, T2 and FLAIR of 80 ms and more."""


@dataclass(frozen=True)
class Sequence:
    """What an image is."""

    kind: str
    """``T1 (MPRAGE or SPGR)``, ``T1``, ``unknown``, or a kind of ``OTHER``."""
    told_by: str = ""
    """The words it was told by, and where they stand."""
    repeat: bool = False
    derived: bool = False
    """Masked, normalised or reformatted by somebody."""

    @property
    def is_t1(self) -> bool | None:
        """Whether it is a T1; ``None`` where nothing tells."""
        return None if self.kind == UNKNOWN else self.kind in {T1, T1_BEST}

    @property
    def why_not(self) -> str:
        """Why it is not taken as a T1, empty where it may be."""
        return "" if self.is_t1 is not False else f"{self.kind}, not a T1 ({self.told_by})"

    @property
    def order(self) -> tuple[int, bool, bool]:
        """Which T1 comes first: the MPRAGE family, then other T1, then those nothing tells of; originals before derived and repeats."""
        return {T1_BEST: 0, T1: 1, UNKNOWN: 2}.get(self.kind, 3), self.derived, self.repeat


def recognise(words: Iterable[str], sidecar: Mapping[str, Any] | None = None) -> Sequence:
    """What the words of an image (folders below its person, file name, a table's description) and its JSON sidecar say it is.

    A sign of something else wins over a sign of a T1: a localizer with T1 contrast is a localizer. Only where the path says T1, words of a
    sidecar that often name a whole study (``fmri``, ``PET``) are not believed.
    """
    facts = sidecar or {}
    path = [("its path says", text, plain_words(text)) for text in words if text]
    told = [
        ("its sidecar says", text, plain_words(text))
        for name in ("SeriesDescription", "ProtocolName", "SequenceName", "Modality")
        if isinstance(text := facts.get(name), str) and text
    ]
    spaced = [*path, *told]
    named = any(sign.search(plain) for sign in (_BEST, _T1) for _, _, plain in path)
    for where, text, plain in spaced:
        own = _T1_FLAIR.sub("t1", plain)
        own = _WEAK.sub(" ", own) if _T1.search(own) or _BEST.search(own) else own
        for kind, pattern in OTHER.items():
            believed = kind in _BELIEVED or not named or where == "its path says"
            if believed and re.search(pattern, own):
                return Sequence(kind, f"{where} '{text}'")
    echo, inversion = _seconds(facts.get("EchoTime")), _seconds(facts.get("InversionTime"))
    if echo is not None and echo >= _ECHO:
        kind = "FLAIR" if inversion is not None and inversion > 1.5 else "T2"
        return Sequence(kind, f"its sidecar has an echo time of {echo:g} s")
    whole = " ".join(plain for _, _, plain in spaced)
    repeat, derived = _REPEAT.search(whole) is not None, _DERIVED.search(whole) is not None
    for kind, sign in ((T1_BEST, _BEST), (T1, _T1)):
        for where, text, plain in spaced:
            if sign.search(plain):
                return Sequence(kind, f"{where} '{text}'", repeat, derived)
    return Sequence(UNKNOWN, "", repeat, derived)


def read_sidecar(image: Path) -> dict[str, Any]:
    """The JSON sidecar of an image as a mapping; empty where there is none that can be read."""
    path = image.with_name(re.sub(r"\.nii(\.gz)?$", "", image.name) + ".json")
    try:
        facts = json.loads(whole_bytes(path).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError, OddFileError):
        return {}
    return facts if isinstance(facts, dict) else {}


def natural(text: str) -> tuple[tuple[bool, int, str], ...]:
    """A sorting key in which ``run-2`` comes before ``run-10``."""
    parts = re.split(r"([0-9]+)", text.lower())
    return tuple((place % 2 == 1, int(part) if place % 2 else 0, part) for place, part in enumerate(parts))


def plain_words(text: str) -> str:
    """A name in lower case with single spaces for punctuation, and again with words run together (``SagT2``) taken apart."""
    text = _LABELS.sub(" ", re.sub(r"\.nii(\.gz)?$|\.dcm$", "", text))
    apart = re.sub(r"(?<=[a-z])(?=[A-Z][A-Za-z0-9])", " ", text)
    forms = dict.fromkeys(re.sub(r"[^a-z0-9]+", " ", one.lower()).strip() for one in (text, apart))
    return " | ".join(forms)


def _seconds(value: object) -> float | None:
    """A time of a sidecar; BIDS has seconds, and some writers leave milliseconds (an echo is never longer than 1 s)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value / 1000 if value > 10 else float(value)
