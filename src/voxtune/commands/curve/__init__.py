"""``voxtune curve``."""
