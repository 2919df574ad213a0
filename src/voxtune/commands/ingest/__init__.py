"""``voxtune ingest``."""
