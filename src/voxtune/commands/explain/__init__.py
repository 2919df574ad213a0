"""``voxtune explain``."""
