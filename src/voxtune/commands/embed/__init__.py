"""``voxtune embed``."""
