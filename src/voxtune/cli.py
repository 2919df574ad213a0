"""Parse, import the stage, call it."""


def main() -> None:
    """Run the command line."""
