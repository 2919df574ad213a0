"""Other words for the same classes: how much an answer hangs on the sentence it is compared with."""

from collections.abc import Sequence

TEMPLATES: tuple[str, ...] = (
    "A photo of {name}",
    "{name}",
    "A brain MRI scan of {name}",
    "An MRI scan that shows {name}",
    "A T1-weighted MRI of a participant with {name}",
    "The diagnosis is {name}",
)
"""Sentences a radiologist or a paper would use; the first is DEFT's (method.md A7)."""


def other_templates(own: Sequence[str]) -> tuple[str, ...]:
    """The templates that are not a model's own, whatever their last full stop."""
    known = {one.rstrip(".") for one in own}
    return tuple(one for one in TEMPLATES if one not in known)
