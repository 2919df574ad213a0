"""What is known of one scan, as a template sees it."""

import re
from dataclasses import dataclass

from voxtune.types.records import MANIFEST_COLUMNS, ManifestRow

OASIS_FIELDS = ("etiv", "nwbv", "asf")
"""Estimated total intracranial volume (cm^3), normalised whole brain volume, atlas scaling factor."""
CT_FIELDS = ("findings", "impressions")
"""The radiologist's report of a chest CT."""


@dataclass(frozen=True)
class Facts:
    """Values by field name; missing is ``None``. Extra columns go by their plain name (``MR Delay`` is ``mr_delay``)."""

    scan_id: str
    diagnosis: str | None
    rule: str | None
    values: dict[str, float | str | None]

    @classmethod
    def of(cls, row: ManifestRow) -> "Facts":
        """The facts of a manifest row."""
        values: dict[str, float | str | None] = dict.fromkeys((*OASIS_FIELDS, *CT_FIELDS))
        values |= {name: getattr(row, name) for name in MANIFEST_COLUMNS}
        for name, value in (row.model_extra or {}).items():
            if values.get(plain(name)) is None:
                values[plain(name)] = value
        if values["etiv"] is None and row.icv_mm3 is not None:
            values["etiv"] = row.icv_mm3 / 1000.0
        return cls(row.scan_id, row.diagnosis, row.diagnosis_rule, values)


def plain(name: str) -> str:
    """A column name as a template can write it: lower case, letters, digits and ``_``."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")
