"""Adaptation methods: one method, one file, each a settings object with one verb, ``attach``."""
