"""What is known of one scan, as a template sees it."""

from dataclasses import dataclass

from voxtune.errors import UsageError
from voxtune.reports.derived import derived_values
from voxtune.reports.norms import FittedNorms
from voxtune.types.profile import Profile, plain
from voxtune.types.records import MANIFEST_COLUMNS, ManifestRow


@dataclass(frozen=True)
class Facts:
    """Values by field name; missing is ``None``. Extra columns go by their plain name (``MR Delay`` is ``mr_delay``)."""

    scan_id: str
    diagnosis: str | None
    rule: str | None
    values: dict[str, float | str | None]

    @classmethod
    def of(cls, row: ManifestRow, profile: Profile, norms: FittedNorms | None = None) -> "Facts":
        """The facts of a manifest row; columns that the profile names are there even where the manifest lacks them.

        Raises:
            UsageError: a column has the name of a percentile that is computed here.
        """
        values: dict[str, float | str | None] = dict.fromkeys(profile.columns)
        values |= {name: getattr(row, name) for name in MANIFEST_COLUMNS}
        for name, value in (row.model_extra or {}).items():
            if values.get(plain(name)) is None:
                values[plain(name)] = value
        if "etiv" in values and values["etiv"] is None and row.icv_mm3 is not None:
            values["etiv"] = row.icv_mm3 / 1000.0
        if norms is not None:
            derived = derived_values(norms.standings(row), profile)
            if both := sorted(derived.keys() & values.keys()):
                raise UsageError(
                    f"The manifest has a column '{both[0]}', and percentiles are computed under that name: rename the column."
                )
            values |= derived
        return cls(row.scan_id, row.diagnosis, row.diagnosis_rule, values)
