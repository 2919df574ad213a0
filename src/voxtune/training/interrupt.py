"""Ctrl-C and SIGTERM (SLURM's preemption) as a wish that the loop grants at the end of a step."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Wish:
    """The signal that asked the run to stop; 0 while none has."""

    signal: int = 0


@contextmanager
def stop_requests() -> Iterator[Wish]:
    """Note the first signal instead of dying of it; a second one acts as it always did.

    Outside the main thread Python delivers no signals, and nothing is changed.
    """
    wish = Wish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _: FrameType | None) -> None:
        wish.signal = number
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield wish
    finally:
        restore()
