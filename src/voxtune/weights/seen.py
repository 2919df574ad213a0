"""What each base has seen: public cohorts of its pretraining, by name and source, so that nobody calls one of them external.

Seen means used to train the vision or the text tower. That a cohort is not listed is no proof that it was not seen. Facts are those
of papers, cards and repositories, no file was opened; imports nothing heavy.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Level = Literal["seen", "part", "possibly"]
"""``seen``; ``part``: another part of the cohort was; ``possibly``: its authors do not say, but it is likely among their data."""


@dataclass(frozen=True)
class Seen:
    """One base."""

    data: str
    """What its towers were trained on, in words."""
    source: str
    """Where that stands."""
    cohorts: Mapping[str, Level] = field(default_factory=dict)
    """Public cohorts by their names in ``COHORTS``, or, of 2D data, by their own."""
    complete: bool = False
    """Whether the list is known to be whole, so that a cohort outside it was not seen."""
    note: str = ""

    @property
    def names(self) -> str:
        """The cohorts in words; ``not known`` where there is none to name and the list is not whole."""
        words = {"seen": "{}", "part": "{} (a part)", "possibly": "possibly {}"}
        said = ", ".join(words[level].format(name) for name, level in self.cohorts.items())
        return said or ("none" if self.complete else "not known")


@dataclass(frozen=True)
class Cohort:
    """How scans of a public cohort are known: by the IDs its curators gave, by the names of its tables, by its folder."""

    people: str = ""
    """Regular expression of a participant's or scan's ID."""
    words: str = ""
    """Regular expression of a word in a table's or folder's name."""


COHORTS: Mapping[str, Cohort] = MappingProxyType(
    {
        "ADNI": Cohort(r"(sub-)?(ADNI_?)?\d{3}_?S_?\d{4}", r"adni(merge)?"),
        "AIBL": Cohort("", r"aibl"),
        "NACC": Cohort(r"(sub-)?(mri\d+)?NACC\d{6}", r"nacc"),
        "OASIS-1": Cohort(r"(sub-)?OAS1_?\d{4}", r"oasis_?-?(1|cross-?_?sectional)"),
        "OASIS-2": Cohort(r"(sub-)?OAS2_?\d{4}", r"oasis_?-?(2|longitudinal)"),
        "OASIS-3": Cohort(r"(sub-)?OAS3\d{4}", r"oasis_?-?3"),
        "PPMI": Cohort("", r"ppmi"),
        "IXI": Cohort(r"(sub-)?IXI\d{3}", r"ixi"),
        "MIRIAD": Cohort(r"(sub-)?miriad_?\d+", r"miriad"),
        "CT-RATE train": Cohort(r"train_\d+(_[a-z]+(_\d+)?)?", ""),
        "CT-RATE valid": Cohort(r"valid_\d+(_[a-z]+(_\d+)?)?", ""),
        "RAD-ChestCT": Cohort(r"trn\d{5}|val\d{5}|tst\d{5}", r"rad-?_?chestct"),
        "NLST": Cohort("", r"nlst"),
        "MR-RATE": Cohort("", r"mr-?_?rate"),
        "BraTS": Cohort(r"BraTS\S*\d{3,5}(-\d{3})?", r"brats"),
    }
)  # fmt: skip
"""Public cohorts that somebody may score, and how they are told."""
ENOUGH = 0.5
"""Share of the scans whose IDs must be a cohort's."""

_M3D = "M3D-Cap: 120,000 pairs of CT and text from Radiopaedia"
_UM = "brain MRI and head CT of one health system (private)"
SEEN: Mapping[str, Seen] = MappingProxyType(
    {
        "m3d": Seen(_M3D, "README of BAAI-DCAI/M3D; arXiv 2404.00578", note="Cases of Radiopaedia; no named cohort."),
        "radfm": Seen(
            "MedMD: Radiopaedia (3D), MedPix, figures of PubMed Central, and 2D radiographs", "README of chaoyi-wu/RadFM; arXiv 2308.02463",
            {"ADNI": "possibly", "BraTS": "possibly", "MIMIC-CXR": "seen", "CheXpert": "seen", "NIH ChestX-ray14": "seen"},
            note="The paper works with further 3D sets, ADNI and BraTS 2019 among them; their role was not checked.",
        ),
        "med3dvlm": Seen(_M3D, "arXiv 2503.20047 (not verified)", note="As M3D."),
        "ct_clip": Seen(
            "CT-RATE's training split, 20,000 patients", "arXiv 2403.17834", {"CT-RATE train": "seen", "CT-RATE valid": "part"},
            note="The validation split is of the same hospital and protocol; RAD-ChestCT is the usual external test.",
        ),
        "merlin": Seen("abdominal CT of Stanford with reports and codes, 15,331 scans (private when trained; later released)", "arXiv 2406.06512"),
        "medclip": Seen("2D radiographs", "arXiv 2210.10163 (not verified)", {"MIMIC-CXR": "seen", "CheXpert": "seen"}),
        "biomedclip": Seen(
            "PMC-15M: figures of PubMed Central (2D)", "arXiv 2303.00915 (not verified)",
            note="A figure may show any public cohort.",
        ),
        "hlip": Seen(
            f"{_UM}: BrainMRI220K and HeadCT240K; variant chest_ct: CT-RATE's training split; one variant of the hub: MR-RATE",
            "README of Zch0414/hlip; arXiv 2505.21862", {"CT-RATE train": "possibly", "CT-RATE valid": "part", "MR-RATE": "possibly"},
            note="CT-RATE only in variant chest_ct, MR-RATE in hub_base as third parties say. NeuroVFM is of the same institution, which is also a "
            "site of public cohorts: they can share people.",
        ),
        "medblip_vit": Seen(
            "EVA-CLIP, then brain MRI", "Qybc/MedBLIP, training lists",
            {"ADNI": "seen", "NACC": "seen", "OASIS-1": "seen", "OASIS-2": "seen"},
            note="No weights were released: this holds for whoever has some. AIBL and MIRIAD were its tests.",
        ),
        "colipri": Seen(
            "CT-RATE with reports, and chest CT without from the USA; text tower: CXR-BERT (PubMed, MIMIC-III, MIMIC-CXR)",
            "card of microsoft/colipri; arXiv 2510.15042", {"CT-RATE train": "seen", "CT-RATE valid": "part", "NLST": "possibly"},
            note="Its figures on CT-RATE's 18 findings are in-domain. RAD-ChestCT is not known to be seen.",
        ),
        "neurovfm": Seen(
            f"5.24 million volumes of 567,000 studies: {_UM}", "README of MLNeurosurg/neurovfm; arXiv 2511.18640",
            note="The institution of HLIP, and a site of public cohorts such as ADNI: people can be shared.",
        ),
        "brainiac": Seen(
            "32,015 brain MRI of 16 data sets, 48,965 of 34 with those of its tasks", "10.1038/s41593-026-02202-6; issue 1 of AIM-KannLab/BrainIAC",
            {"ADNI": "possibly", "OASIS-1": "possibly", "OASIS-2": "possibly", "OASIS-3": "possibly", "AIBL": "possibly", "NACC": "possibly", "PPMI": "possibly",
             "IXI": "possibly", "MIRIAD": "possibly", "BraTS": "possibly"},
            note="The list stands on a picture in its repository that could not be read here; a task on mild cognitive impairment is among them. "
            "Treat every open dementia cohort as seen until you have looked.",
        ),
        "tiny": Seen(
            "SIMULATED heads made by this package", "voxtune_recipes/pretrain_tiny.py", complete=True,
            note="Its CLS was pretrained with regional volumes as targets, on the generator of the simulated people: results on them are partly circular.",
        ),
        "tiny_untaught": Seen(
            "SIMULATED label maps made by this package", "voxtune_recipes/pretrain_untaught.py", complete=True,
            note="No region, size or disease was asked for; the template is the one that simulated people are bent from.",
        ),
        "ct_clip_small": Seen("SIMULATED chests made by this package", "voxtune_recipes/pretrain_chest.py", complete=True),
    }
)  # fmt: skip
"""By catalogue name of the base."""


@dataclass(frozen=True)
class Told:
    """Which public cohort scans are of, and by what that is told."""

    cohort: str
    by: str


def cohorts_of(ids: Iterable[tuple[str, str]], tables: Iterable[str], folder: str) -> list[Told]:
    """The public cohorts that scans seem to be of.

    Args:
        ids: participant and scan ID of each scan.
        tables: names of the tables and folders that their rows name.
        folder: name of the manifest's folder.
    """
    pairs, found = list(ids), []
    for name, cohort in COHORTS.items():
        hits = sum(
            bool(cohort.people) and any(re.match(rf"({cohort.people})(?![a-zA-Z0-9])", one) for one in pair)
            for pair in pairs
        )
        words = re.compile(rf"(?<![a-z])({cohort.words})(?![a-z])", re.IGNORECASE) if cohort.words else None
        if pairs and hits >= ENOUGH * len(pairs):
            found.append(Told(name, f"the form of {hits} of {len(pairs)} IDs"))
        elif words and any(words.search(one) for one in tables):
            found.append(Told(name, "the name of a table"))
        elif words and words.search(folder):
            found.append(Told(name, "the name of the folder"))
    return found
