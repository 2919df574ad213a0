"""What one server allows: how much, how long, how many."""

from pydantic import Field

from voxtune.types.settings import Settings

GIB = 2**30


class Limits(Settings):
    """Bounds that protect the machine from a stranger's file; every one is stated on the page and in the API document."""

    workers: int = Field(1, ge=1, le=64)
    """Scans at once; each worker holds the model once."""
    threads: int = Field(1, ge=1, le=256)
    """Of each worker, while the model runs."""
    upload_bytes: int = Field(GIB, ge=1024)
    """Of one file as it is sent; what a zip or gzip may unpack to is bounded when it is read (``imaging/limits.py``)."""
    stored_bytes: int = Field(8 * GIB, ge=1024)
    """Of all scans and results that are kept at one time."""
    memory_bytes: int = Field(8 * GIB, ge=2**20)
    """For one scan, beyond what the loaded model takes; allocations beyond it fail."""
    seconds: float = Field(600.0, gt=0)
    """For one scan, from its first byte read to its page."""
    waiting: int = Field(256, ge=1)
    """Scans that wait or are worked on; beyond it new ones are turned away for now."""
    keep_seconds: float = Field(3600.0, gt=0)
    """After its end a scan and everything made of it is deleted."""
    pause_seconds: float = Field(30.0, gt=0)
    """In which a sender in mid-upload sends at least 16 kB, or the end: a body that trickles holds nobody's room for long."""
    upload_seconds: float = Field(3600.0, gt=0)
    """For one upload, from its first byte to its last."""
    attempts: int = Field(2, ge=1, le=5)
    """How often a scan is begun when the worker dies on it."""
