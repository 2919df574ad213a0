"""A cluster that is there already, by the address of its Dask scheduler."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, TypeVar

from voxtune.errors import DataError, StorageError, UsageError

if TYPE_CHECKING:
    from distributed import Client

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")


def connect(scheduler: str) -> "Client":
    """A client of the scheduler at an address like ``tcp://HOST:8786``.

    Raises:
        UsageError: Dask is not installed, or nobody answers there.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError("--scheduler needs Dask: pip install 'voxtune[dask]'.") from error
    try:
        return Client(scheduler, timeout="30s")
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(f"No Dask scheduler answers at {scheduler} ({type(error).__name__}).") from error


def outcomes(
    scheduler: str, do: Callable[[Job], Outcome], jobs: Sequence[Job], died: Callable[[Job], Outcome]
) -> Iterator[Outcome]:
    """What a cluster makes of some jobs, in the order they end.

    Args:
        scheduler: its address.
        do: one job, done by a worker.
        jobs: all of them.
        died: what to say of a job whose workers died.

    Raises:
        StorageError: a worker's disk gave out.
        DataError: the scheduler went; what was finished is kept.
    """
    client = connect(scheduler)
    from distributed import as_completed
    from distributed.comm import CommClosedError

    try:
        with client:
            futures = {client.submit(do, job, pure=False, retries=1): job for job in jobs}
            for future in as_completed(futures):
                if future.status == "error":
                    error = future.exception()
                    if isinstance(error, StorageError):
                        raise error
                    yield died(futures[future])
                elif future.status == "finished":
                    yield future.result()
                else:
                    raise CommClosedError(future.status)
    except (CancelledError, TimeoutError, OSError) as error:  # a CommClosedError is an OSError
        raise DataError(
            f"The Dask scheduler at {scheduler} was lost ({type(error).__name__}). What was finished is kept: give the same command "
            "again once one answers, and it goes on."
        ) from None
