"""Published figures of cohorts, to compare simulated people with. Nothing here makes a person.

ADNI at baseline, by FreeSurfer, as in the ADNIMERGE table and the TADPOLE challenge built on it (Marinescu et al. 2018, arXiv
1805.03909), given to two or three digits. mm^3; MMSE in points.
"""

from dataclasses import dataclass

ADNI = "ADNI baseline (ADNIMERGE; Marinescu et al. 2018, arXiv 1805.03909)"
PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "hippocampus": {"NC": (7350, 900), "MCI": (6600, 1150), "AD": (5800, 1020)},
    "ventricles": {"NC": (34500, 18500), "MCI": (41000, 22500), "AD": (50000, 25000)},
    "entorhinal": {"NC": (3800, 650), "MCI": (3400, 780), "AD": (2850, 700)},
    "fusiform": {"NC": (17800, 2500), "MCI": (17200, 2700), "AD": (15700, 2700)},
    "middle_temporal": {"NC": (20200, 2650), "MCI": (19600, 2950), "AD": (17800, 3100)},
    "whole_brain": {"NC": (1043000, 105000), "MCI": (1031000, 111000), "AD": (985000, 118000)},
    "icv": {"NC": (1520000, 160000), "MCI": (1530000, 160000), "AD": (1530000, 170000)},
    "mmse": {"NC": (29.1, 1.1), "MCI": (27.4, 1.9), "AD": (23.2, 2.1)},
}
"""Mean and standard deviation by diagnosis."""
PEOPLE = {"NC": 508, "MCI": 841, "AD": 318}
"""Of TADPOLE's first set: they fix how far a published effect size may be off."""


@dataclass(frozen=True)
class Other:
    """A figure from elsewhere."""

    what: str
    value: float
    low: float
    high: float
    """Within these it counts as met."""
    source: str


OTHERS: dict[str, Other] = {
    "d_brain_over_icv": Other(
        "Cohen's d, whole brain over ICV, NC against AD", 1.26, 0.82, 1.70,
        "OASIS-1 from 60 years on, CDR 0 (98) against CDR 1 (28): nWBV, counted from its table (Marcus et al. 2007)",
    ),
    "cv_brain_over_icv": Other(
        "CV of whole brain over ICV in NC, %", 6.0, 4.0, 7.0,
        "55 controls, 6.0% after and 10.0% before the division (Whitwell et al. 2001, AJNR 22, 1483)",
    ),
    "cv_brain": Other("CV of whole brain in NC, %", 10.0, 8.0, 12.0, "55 controls (Whitwell et al. 2001)"),
    "icv_sex": Other(
        "ICV of men over women", 1.126, 1.09, 1.16, "OASIS-1 from 60 years on: 1,578 and 1,402 cm^3, counted from its table",
    ),
    "r_brain_age": Other(
        "Correlation of brain over ICV with age in NC", -0.69, -0.78, -0.40,
        "OASIS-1, CDR 0 from 60 to 96 years (sd of age 9.0; ADNI's 6 gives a weaker one), counted from its table",
    ),
    "hippocampus_year": Other(
        "Hippocampus, % a year of age in NC", -0.8, -1.2, -0.4, "about 0.8% a year in healthy 60 to 91 years old (Fjell et al. 2009)",
    ),
    "women_ad": Other("Women among AD, %", 45, 40, 50, ADNI),
}  # fmt: skip
"""Name -> figure."""
