"""Names of scans as files, folders and rows can carry them."""

import hashlib
import re

LONGEST_NAME = 200
"""Letters of a ``scan_id``: file systems take 255 bytes, of which endings and unfinished writes need some."""


def scan_name(text: str, fill: str = "-") -> str:
    """A name of letters, digits, ``.``, ``_`` and ``-`` from any text; one that is too long is cut and ends with 12 digits of its hash.

    Args:
        text: a file name, or what a table calls a scan.
        fill: what stands for anything else.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", fill, text.strip()).strip("-._") or "scan"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 13]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
