"""Alzheimer's disease and other dementias on T1 MRI: the six volumes of DEFT, the classes NC, MCI, AD (arXiv 2509.07613)."""

from voxtune.types.profile import Profile, ReportField

PROFILE = Profile(
    name="dementia",
    citation=(
        "Cheng, Ray, Yang: Data-Efficient Fine-Tuning of Vision-Language Models for Diagnosis of Alzheimer's Disease. "
        "arXiv:2509.07613."
    ),
    classes=("NC", "CN", "MCI", "AD"),
    class_texts=(
        "A photo of {name}",
        "{name}",
        "A brain MRI scan of {name}",
        "An MRI scan that shows {name}",
        "A T1-weighted MRI of a participant with {name}",
        "The diagnosis is {name}",
    ),
    template="deft",
    opening="The MRI scan reveals the following biomarkers",
    regions={
        "hippocampus_mm3": ReportField(
            name="Hippocampal volume", unit="mm^3", range=(1_000, 15_000), labels=(17, 53)
        ),
        "ventricles_mm3": ReportField(
            name="Ventricular size", unit="mm^3", range=(2_000, 250_000), labels=(4, 5, 14, 15, 43, 44)
        ),
        "whole_brain_mm3": ReportField(name="Whole brain volume", unit="mm^3", range=(400_000, 2_000_000)),
        "entorhinal_mm3": ReportField(
            name="Entorhinal cortex volume", unit="mm^3", range=(500, 12_000), labels=(1006, 2006)
        ),
        "fusiform_mm3": ReportField(
            name="Fusiform gyrus volume", unit="mm^3", range=(4_000, 40_000), labels=(1007, 2007)
        ),
        "middle_temporal_mm3": ReportField(
            name="Middle temporal gyrus volume", unit="mm^3", range=(4_000, 45_000), labels=(1015, 2015)
        ),
        "icv_mm3": ReportField(
            name="Intracranial volume", unit="mm^3", range=(700_000, 2_500_000), text=False
        ),
    },
    fields={
        "etiv": ReportField(
            name="Estimated total intracranial volume", unit="cm^3", range=(700, 2_500), text=False
        ),
        "nwbv": ReportField(name="Normalized whole brain volume", decimals=3, range=(0.4, 1.0), text=False),
        "asf": ReportField(name="Atlas scaling factor", decimals=3, range=(0.5, 2.0), text=False),
    },
    defining=(
        "cdr*", "cdglobal*", "clinical_dementia*", "mmse*", "mmscore*", "moca*", "adas*", "faq*", "dx*", "diag*", "group*", "label*",
        "class*", "ldel*", "ravlt*", "ecog*", "mpacc*", "conver*", "demen*",
    ),
    telling=(
        "CDR", "CDR-SB", "MMSE", "MoCA", "FAQ", "ADAS", "ADAS-Cog", "ADAS-Cog11", "ADAS-Cog13", "ADAS11", "ADAS13",
        "clinical dementia rating", "mini mental", "functional activities", "alzheimer", "dementia", "demented",
        "cognitively normal", "cognitively unimpaired", "cognitively impaired", "mild cognitive impairment",
    ),
)  # fmt: skip
"""Order of classes, volumes and words of the paper; ranges are those of adult heads with a margin for atrophy."""
