"""Whether the file of an image has its content: links into an annex and pointers to large files often have none."""

from pathlib import Path

_POINTERS = (b"/annex/objects/", b"../.git/annex/", b"version https://git-lfs")
_LONGEST = 1024
"""Bytes; a pointer is shorter."""


def why_absent(path: Path) -> str | None:
    """Why an image's content is not there, ``None`` where it is (or may be: the file is not opened as an image)."""
    if path.is_symlink() and not path.exists():
        what = "git-annex" if "annex" in str(path.readlink()) else "elsewhere"
        return (
            f"the image is a link ({what}) and its content is not there"
            f"{'; fetch it with datalad get or git annex get' if what == 'git-annex' else ''}"
        )
    try:
        if not path.is_file():
            return "image not found"
        if 0 < path.stat().st_size <= _LONGEST:
            with path.open("rb") as file:
                start = file.read(128)
            if any(mark in start for mark in _POINTERS):
                return "the file is a pointer to an image whose content is not there; fetch it with datalad get or git lfs pull"
    except OSError as error:
        return f"image cannot be opened ({error.strerror or error})"
    return None
