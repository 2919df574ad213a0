"""Many jobs of one kind: one after the other, on the processes of this machine, or on a Dask cluster; a death costs one job."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from typing import TypeVar

from voxtune.commands.crew import end_with_parent
from voxtune.errors import DataError

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")


def spread(
    do: Callable[[Job], Outcome],
    jobs: Sequence[Job],
    died: Callable[[Job], Outcome],
    *,
    workers: int = 1,
    scheduler: str | None = None,
) -> Iterator[tuple[Job, Outcome]]:
    """Each job with its outcome, as they end.

    Args:
        do: a function of a module, which every process can import.
        jobs: what travels to a worker.
        died: the outcome of a job whose process was killed twice.
        workers: processes on this machine; 1: this one.
        scheduler: address of a Dask scheduler whose workers see the same files; replaces ``workers``.

    Raises:
        DataError: the scheduler went; what was finished is kept.
    """
    if scheduler is not None:
        return _on_dask(do, jobs, died, scheduler)
    if workers > 1 and len(jobs) > 1:
        return on_processes(do, jobs, died, workers)
    return ((job, do(job)) for job in jobs)


def on_processes(
    do: Callable[[Job], Outcome], jobs: Sequence[Job], died: Callable[[Job], Outcome], workers: int
) -> Iterator[tuple[Job, Outcome]]:
    """A pool of fresh processes; jobs that were under way when one died are tried once more, each alone."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    again: list[Job] = []
    fresh, begin = get_context("spawn"), end_with_parent
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=fresh, initializer=begin) as pool:
        futures = {pool.submit(do, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                try:
                    yield futures[future], future.result()
                except BrokenProcessPool:
                    again.append(futures[future])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # an error ends the work, not each of its jobs
            raise
    for job in again:
        with ProcessPoolExecutor(1, mp_context=fresh, initializer=begin) as pool:
            try:
                yield job, pool.submit(do, job).result()
            except BrokenProcessPool:
                yield job, died(job)


def _on_dask(
    do: Callable[[Job], Outcome], jobs: Sequence[Job], died: Callable[[Job], Outcome], scheduler: str
) -> Iterator[tuple[Job, Outcome]]:
    from voxtune.commands.dask_client import connect

    client = connect(scheduler)
    from distributed import KilledWorker, as_completed
    from distributed.comm import CommClosedError

    try:
        with client:
            futures = {client.submit(do, job, pure=False, retries=1): job for job in jobs}
            for future in as_completed(futures):
                job = futures[future]
                if future.status == "error":
                    error = future.exception()
                    if not isinstance(error, KilledWorker):
                        raise error
                    yield job, died(job)
                elif future.status == "finished":
                    yield job, future.result()
                else:
                    raise CommClosedError(future.status)
    except (CancelledError, TimeoutError, OSError) as error:  # a CommClosedError is an OSError
        raise DataError(
            f"The Dask scheduler at {scheduler} was lost ({type(error).__name__}). What was finished is kept: give the same command "
            "again once one answers, and it goes on."
        ) from None
