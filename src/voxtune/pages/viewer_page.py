"""The page of ``voxtune serve``: drop a scan, watch it being worked on, look at it. Its script and style are files of ours."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from voxtune.pages.layout import render
from voxtune.pages.slices import current_view

_ASSETS = Path(str(files("voxtune.pages"))) / "assets"
STATIC: Mapping[str, tuple[Path, str]] = MappingProxyType(
    {
        "viewer.css": (_ASSETS / "viewer.css", "text/css"),
        "planes.js": (_ASSETS / "planes.js", "text/javascript"),
        "viewer.js": (_ASSETS / "viewer.js", "text/javascript"),
    }
)
"""What the page loads besides itself: name -> file and media type."""


def viewer_page(facts: Mapping[str, Any], limits: Mapping[str, Any], token: str) -> str:
    """HTML of the page.

    Args:
        facts: what a worker says of the adapter (classes, targets, biomarkers, trust, training).
        limits: of the server.
        token: that the page's own requests carry.
    """
    context = {
        "facts": facts,
        "token": token,
        "view": current_view(),
        "upload_mb": round(limits["upload_bytes"] / 2**20),
        "minutes": round(limits["keep_seconds"] / 60),
    }
    return render("viewer_page.html.j2", context, title="Look at a scan", simulated=bool(facts["simulated"]))
