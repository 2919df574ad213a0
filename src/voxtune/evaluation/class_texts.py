"""Other words for the same classes: how much an answer hangs on the sentence it is compared with."""

from collections.abc import Sequence


def other_templates(own: Sequence[str], wordings: Sequence[str]) -> tuple[str, ...]:
    """The wordings of a profile that are not a model's own, whatever their last full stop."""
    known = {one.rstrip(".") for one in own}
    return tuple(one for one in wordings if one.rstrip(".") not in known)
