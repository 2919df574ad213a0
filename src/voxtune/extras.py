"""How to get what an extra of this package asks for, in a line that works: the package itself is on no index."""

from importlib.metadata import PackageNotFoundError, requires

PACKAGE = "voxtune"


def install_line(extra: str, package: str = PACKAGE) -> str:
    """``pip install 'starlette>=0.45' ...``: the requirements of an extra by their own names, wherever VoxTune came from.

    Args:
        extra: as ``pyproject.toml`` calls it.
        package: whose extra.
    """
    try:
        asked = requires(package) or []
    except PackageNotFoundError:  # run from a source tree that was never installed
        asked = []
    found = []
    for one in asked:
        name, _, condition = one.partition(";")
        if f"extra=='{extra}'" in condition.replace('"', "'").replace(" ", ""):
            found.append(name.strip())
    names = " ".join(f"'{name}'" for name in found)
    return f"pip install {names}" if found else f"pip install -e '.[{extra}]' (in the clone)"
