"""Where other people's code meets ours: whatever a library raises on a scan becomes one sentence that names the scan."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxtune.errors import ScanError, VoxTuneError
from voxtune.storage.failures import disk_first


@contextmanager
def one_sentence(scan: str | Path, doing: str = "read") -> Iterator[None]:
    """Turn every exception but our own into a ``ScanError`` that names the scan.

    Args:
        scan: the scan, as messages call it.
        doing: what is being done to it, a past participle.

    Raises:
        StorageError: the disk gave out, which is no fault of the scan.
        ScanError: for anything that is raised inside. A library's own message is left out: it may quote the file.
    """
    try:
        with disk_first():
            yield
    except VoxTuneError:
        raise
    except MemoryError as error:
        raise ScanError(scan, "it needs more memory than there is") from error
    except OSError as error:
        raise ScanError(scan, f"it cannot be {doing} ({error.strerror or type(error).__name__})") from error
    except RecursionError as error:
        raise ScanError(scan, f"it cannot be {doing}: its parts are nested too deeply") from error
    except Exception as error:
        raise ScanError(
            scan,
            f"it cannot be {doing}: it is damaged, or of a form that is not known here ({type(error).__name__})",
        ) from error
