"""The training engine: a flat loop and what it stands on."""
