"""``voxtune volumes``."""
