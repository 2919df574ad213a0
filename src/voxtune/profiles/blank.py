"""No disease known: nothing but the label sentence is text until a field is opened by its name."""

from voxtune.types.profile import Profile

PROFILE = Profile(
    name="blank",
    class_texts=(
        "A photo of {name}",
        "{name}",
        "A scan of {name}",
        "A scan that shows {name}",
        "The diagnosis is {name}",
    ),
    telling=(
        "MoCA", "FAQ", "ADAS", "ADAS-Cog", "UPDRS", "EDSS", "PANSS", "NIHSS", "Hoehn and Yahr", "clinical dementia rating", "mini mental",
        "functional activities", "alzheimer", "dementia", "demented", "cognitively normal", "cognitively unimpaired",
        "cognitively impaired", "mild cognitive impairment", "parkinson", "multiple sclerosis",
    ),
)  # fmt: skip
"""Of every cohort that no other profile is recognised in."""
