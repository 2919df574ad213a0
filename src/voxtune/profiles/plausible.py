"""Values outside what a profile holds for plausible: most often another unit."""

from collections.abc import Sequence

from voxtune.types.decimals import decimal
from voxtune.types.profile import Profile, plain
from voxtune.types.records import ManifestRow


def implausible(rows: Sequence[ManifestRow], profile: Profile) -> list[str]:
    """A sentence for each column of the profile with values outside its range, or that are no numbers."""
    sentences = []
    cells: dict[str, list[tuple[str, object]]] = {}
    for row in rows:
        for name, value in row:
            if value is not None and plain(name) in profile.columns:
                cells.setdefault(plain(name), []).append((row.scan_id, value))
    for column, values in cells.items():
        field = profile.columns[column]
        if field.decimals is None:
            continue
        numbers = [(scan, number(value)) for scan, value in values]
        low, high = field.range or (float("-inf"), float("inf"))
        odd = [scan for scan, one in numbers if one is None or not low <= one <= high]
        if odd:
            expected = (
                f"{low:g} to {high:g}{' ' + field.unit if field.unit else ''}" if field.range else "a number"
            )
            example = next(value for scan, value in values if scan == odd[0])
            sentences.append(
                f"column '{column}': {len(odd)} of {len(values)} values are outside what profile '{profile.name}' holds for "
                f"plausible ({expected}; another unit?): scan '{odd[0]}' has {example}"
            )
    return sentences


def number(value: object) -> float | None:
    """A cell as a finite number; ``None``: it is none."""
    try:
        return decimal(str(value))
    except ValueError:
        return None
