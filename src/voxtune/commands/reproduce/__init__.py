"""``voxtune reproduce``."""
