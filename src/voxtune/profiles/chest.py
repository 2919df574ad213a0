"""Chest CT with the radiologist's own report: findings, each yes or no (CT-RATE, MedCT-VLM)."""

from voxtune.types.profile import Profile, ReportField

PROFILE = Profile(
    name="chest",
    citation="Hamamci et al.: CT-CLIP, arXiv:2403.17834.",
    class_texts=(
        "A photo of {name}",
        "{name}",
        "A chest CT of {name}",
        "A CT scan that shows {name}",
        "The diagnosis is {name}",
    ),
    template="ct_rate",
    opening="The CT scan reveals the following measurements",
    fields={
        "findings": ReportField(name="Findings", decimals=None),
        "impressions": ReportField(name="Impressions", decimals=None),
    },
)
"""A report says what the findings are: it is text for training only."""
