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
)
"""Of every cohort that no other profile is recognised in."""
