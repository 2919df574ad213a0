"""``voxtune weights``."""
