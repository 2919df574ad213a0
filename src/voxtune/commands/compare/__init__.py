"""``voxtune compare``."""
