"""The command line: parse, import the stage, call it. Nothing heavy is imported before a command runs."""

from voxtune.cli import cohorts, models, workbench
from voxtune.cli.base import main

__all__ = ["cohorts", "main", "models", "workbench"]
