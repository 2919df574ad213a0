"""Regional volumes as the tools of the field name them: FreeSurfer, FastSurfer, SynthSeg, DLMUSE and ADNI's UCSF tables.

Names are compared without case and punctuation, so that ``Left-Hippocampus``, ``Left.Hippocampus`` (as R writes it) and SynthSeg's
``left hippocampus`` are one. Ventricles are the lateral ones with their inferior horns, as in ADNI's tables. All are in mm^3.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from voxtune.cohorts.table import SourceTable, plain
from voxtune.errors import TableError


def _both(name: str) -> tuple[tuple[str, ...], ...]:
    """Both sides of a cortical region as FreeSurfer, FastSurfer and SynthSeg write them."""
    return (
        (f"lh_{name}_volume", f"rh_{name}_volume"),
        (f"lh_{name}_grayvol", f"rh_{name}_grayvol"),
        (f"ctx_lh_{name}", f"ctx_rh_{name}"),
    )


SUMS: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType({
    "hippocampus_mm3": (("left_hippocampus", "right_hippocampus"), ("muse_47", "muse_48"), ("st29sv", "st88sv")),
    "ventricles_mm3": (
        ("left_lateral_ventricle", "left_inf_lat_vent", "right_lateral_ventricle", "right_inf_lat_vent"),
        ("left_lateral_ventricle", "left_inferior_lateral_ventricle", "right_lateral_ventricle", "right_inferior_lateral_ventricle"),
        ("muse_49", "muse_50", "muse_51", "muse_52"),
        ("st30sv", "st37sv", "st89sv", "st96sv"),
    ),
    "whole_brain_mm3": (("brainsegvolnotvent",), ("synthseg_brain",), ("muse_601", "muse_604")),
    "entorhinal_mm3": (*_both("entorhinal"), ("muse_116", "muse_117"), ("st24cv", "st83cv")),
    "fusiform_mm3": (*_both("fusiform"), ("muse_122", "muse_123"), ("st26cv", "st85cv")),
    "middle_temporal_mm3": (*_both("middletemporal"), ("muse_154", "muse_155"), ("st40cv", "st99cv")),
    "icv_mm3": (("estimatedtotalintracranialvol",), ("etiv",), ("total_intracranial",), ("muse_702",), ("st10cv",)),
})  # fmt: skip
"""Columns whose sum is a manifest column, by plain name; the first set of which all are there."""
_NO_VOLUME = (
    "thickness",
    "area",
    "meancurv",
    "thicknessstd",
    "foldind",
    "curvind",
    "mean",
    "std",
    "snr",
    "nvox",
    "volume_mm3_norm",
)
"""Measures of aparcstats2table and asegstats2table that are no volumes."""
_SYNTHSEG = ("total_intracranial", "left_cerebral_white_matter", "left_hippocampus")
_NOT_BRAIN = ("total_intracranial", "intracranial", "csf", "subject", "session")


def tool_of(table: SourceTable) -> str | None:
    """The tool that made a table, by its columns; ``None`` for a table of another kind.

    Raises:
        TableError: a FreeSurfer table of something else than volumes (thickness, area, mean intensity).
    """
    first, names = table.columns[0].lower(), {plain(name) for name in table.columns}
    if (":" in first and first.startswith("measure")) or first.startswith(("lh.", "rh.")):
        measure = first.replace(":", ".").rsplit(".", 1)[-1]
        if measure in _NO_VOLUME:
            raise TableError(
                table.path,
                f"this is a table of '{measure}' and not of volumes",
                "Make it with --meas volume, or leave it out.",
            )
        return "FreeSurfer"
    if names >= set(_SYNTHSEG):
        return "SynthSeg"
    if names >= {"st29sv", "st88sv"}:
        return "UCSF (ADNI)"
    if {"47", "48", "702"} <= names or {"muse_volume_47", "muse_volume_48"} <= names:
        return "DLMUSE"
    if any(names >= set(parts) for parts in SUMS["hippocampus_mm3"][:1]) or names >= {"lh_entorhinal_volume"}:
        return "FreeSurfer"
    return None


def upright(table: SourceTable) -> SourceTable:
    """A FreeSurfer table with a row for each scan, also where it was made with ``--transpose``."""
    first = table.columns[0]
    known = {name for sets in SUMS.values() for names in sets for name in names}
    structures = [plain(row[first] or "") for row in table.rows]
    if not known & set(structures) or tool_of(table) != "FreeSurfer":
        return table
    lines = [[first, *(row[first] or "" for row in table.rows)]]
    lines += [[column, *(row[column] or "" for row in table.rows)] for column in table.columns[1:]]
    return SourceTable.of_cells(table.path, list(enumerate(lines, start=1)), table.sha256)


def key_of(table: SourceTable, tool: str) -> tuple[str, ...]:
    """The columns that name the scan of a row in a tool's table."""
    if tool == "UCSF (ADNI)":
        names = [name for name in ("IMAGEUID", "RID") if table.find(name)]
        return tuple(table.column(name) for name in names[:1])
    for name in ("mrid", "scan_id", "subject", "subject_id", "sbj_id", "participant_id", "id"):
        if found := table.find(name):
            session = next(
                (one for other in ("session", "session_id", "ses") if (one := table.find(other))), None
            )
            return (found, session) if session else (found,)
    return (table.columns[0],)


def common_names(tool: str) -> Callable[[str], str]:
    """How the columns of a tool's table are named in ``SUMS``."""
    if tool != "DLMUSE":
        return plain
    return lambda name: f"muse_{plain(name).removeprefix('muse_volume_').removeprefix('dl_muse_volume_')}"


def volumes(tool: str, cells: Mapping[str, float | None]) -> dict[str, tuple[float | None, tuple[str, ...]]]:
    """Manifest columns that the cells of a scan give, each with the columns it is the sum of; ``None`` where one of them is missing.

    Args:
        tool: as ``tool_of`` names it.
        cells: numbers by the names of ``common_names``.
    """
    known = dict(cells)
    if tool == "SynthSeg":
        parts = [
            value
            for name, value in cells.items()
            if not name.startswith("ctx_") and "ventricle" not in name and name not in _NOT_BRAIN
        ]
        known["synthseg_brain"] = sum(parts) if parts and None not in parts else None  # type: ignore[arg-type]
    found: dict[str, tuple[float | None, tuple[str, ...]]] = {}
    for field, sets in SUMS.items():
        names = next((names for names in sets if all(name in known for name in names)), None)
        if names is not None:
            values = [known[name] for name in names]
            found[field] = (
                None if None in values else sum(value for value in values if value is not None),
                names,
            )
    return found


def lacking(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Manifest columns of which a tool's tables have some parts and not all, with the parts that are missing (one side alone)."""
    known = set(names)
    found = {}
    for field, sets in SUMS.items():
        if not any(known >= set(parts) for parts in sets):
            partly = next((parts for parts in sets if known & set(parts)), None)
            if partly is not None:
                found[field] = tuple(name for name in partly if name not in known)
    return found
