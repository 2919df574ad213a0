"""Regions of a brain and their volumes, found in the picture itself by a small network."""
