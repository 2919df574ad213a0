"""Matrix products whose sums are added in one order, so that the last bit does not depend on how many cores a machine has."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Numpy and scipy multiply matrices on one thread, whatever ``OMP_NUM_THREADS`` says: in a ``with``, or around a function."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # no stubs exist

    with threadpool_limits(limits=1, user_api="blas"):
        yield
