"""The one function that a report template may call."""

from dataclasses import dataclass
from typing import Literal

from voxtune.errors import DataError

Missing = Literal["omit", "unavailable"]


@dataclass(frozen=True)
class Listed:
    """``listed(("Hippocampal volume", hippocampus_mm3, "mm^3"), ...)``: named values, separated by commas.

    A number is written with its decimals (2); with ``none`` in their place a value that is no number stands as it is.
    """

    scan_id: str
    missing: Missing

    def __call__(self, *items: tuple[object, ...], unavailable: str = "data unavailable") -> str:
        """Each item is name, value, unit and, if not 2, the number of decimals; a missing one goes with its comma."""
        written = []
        for item in items:
            name, value, unit, decimals = (*item, "", 2)[:4] if len(item) == 2 else (*item, 2)[:4]
            if value is not None:
                places = None if decimals is None else int(str(decimals))
                written.append(f"{name}: {self._said(str(name), value, places)}{' ' if unit else ''}{unit}")
            elif self.missing == "unavailable":
                written.append(f"{name}: {unavailable}")
        return ", ".join(written)

    def _said(self, name: str, value: object, decimals: int | None) -> str:
        try:
            return f"{float(str(value)):.{2 if decimals is None else decimals}f}"
        except ValueError:
            if decimals is None:
                return str(value)
            raise DataError(f"Scan '{self.scan_id}': '{name}' should be a number, got {value!r}.") from None
