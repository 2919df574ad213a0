"""Adaptation losses: one equation, one file."""
