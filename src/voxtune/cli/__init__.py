"""The command line: parse, import the stage, call it. Nothing heavy is imported before a command runs."""

from voxtune.cli import cohorts, models, scans, workbench
from voxtune.cli.base import main

__all__ = ["cohorts", "main", "models", "scans", "workbench"]
