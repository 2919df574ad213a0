"""Seeds: whole numbers that every library that draws can take."""

from voxtune.errors import UsageError

MAX_SEED = 2**32 - 1
"""scikit-learn takes no larger one, and torch's overflow beyond 64 bits once epochs are added."""


def check_seed(seed: int) -> None:
    """See that a seed is one.

    Raises:
        UsageError: it is negative, or larger than every library takes.
    """
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"seed: expected a whole number from 0 to {MAX_SEED}, got {str(seed)[:40]}.")
