"""A cluster that is there already, by the address of its Dask scheduler."""

from typing import TYPE_CHECKING

from voxtune.errors import UsageError
from voxtune.extras import install_line

if TYPE_CHECKING:
    from distributed import Client


def connect(scheduler: str) -> "Client":
    """A client of the scheduler at an address like ``tcp://HOST:8786``.

    Raises:
        UsageError: Dask is not installed, or nobody answers there.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(f"--scheduler needs Dask: {install_line('dask')}.") from error
    try:
        return Client(scheduler, timeout="30s")
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(f"No Dask scheduler answers at {scheduler} ({type(error).__name__}).") from error
