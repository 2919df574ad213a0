"""Where the images of a folder are: a column that holds paths, a pattern that was set, or the one ending that follows the scans' names."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from voxtune.cohorts.outputs import is_output
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.sequence import recognise
from voxtune.cohorts.table import SourceTable
from voxtune.errors import SettingError

IMAGE_ENDINGS = (".nii.gz", ".nii", ".img", ".mgz", ".mha", ".nrrd")
NOT_A_SCAN = re.compile(r"label|seg|mask|dlmuse|aseg|aparc|parc|atlas|roi|probab|dseg", re.IGNORECASE)
PATHS = ("image", "image_path", "path", "file", "filename", "file_name")
"""Columns that hold paths of images."""
_NAME = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Pattern:
    """A path with names of columns in braces; ``*`` stands for anything."""

    text: str

    def image(self, root: Path, known: Mapping[str, str | None]) -> Path | None:
        """The image of a row; ``None`` where a cell is missing or a pattern with ``*`` does not fit one file.

        Raises:
            SettingError: the pattern names a column that is not there.
        """
        filled = self.text
        for name in _NAME.findall(self.text):
            if name not in known:
                raise SettingError("image", f"columns among {', '.join(known)}", name)
            value = known[name]
            if value is None:
                return None
            filled = filled.replace(f"{{{name}}}", value)
        if "\\" in filled and not (root / filled).exists():
            filled = filled.replace("\\", "/")  # a path of Windows
        if "*" in filled:
            found = sorted(root.glob(filled))
            return found[0] if len(found) == 1 else None
        return root / filled

    def others(self, root: Path, used: Iterable[Path]) -> list[Path]:
        """Images that fit the pattern and that no row names; any image where the whole pattern is one column."""
        taken = {path.absolute() for path in used}
        parts = _NAME.split(self.text)
        fits = "".join(
            "[^/]+" if number % 2 else re.escape(part).replace(r"\*", "[^/]*")
            for number, part in enumerate(parts)
        )
        whole = re.compile(".*" if _NAME.sub("", self.text) == "" else fits)
        return [
            path
            for path in images(root)
            if path.absolute() not in taken
            and not NOT_A_SCAN.search(path.name)
            and whole.fullmatch(path.relative_to(root).as_posix())
        ]


def images(root: Path) -> list[Path]:
    """The image files below a folder, without those that ``ingest`` wrote."""
    return sorted(
        path for path in root.rglob("*") if path.name.endswith(IMAGE_ENDINGS) and not is_output(path)
    )


def find_pattern(
    root: Path, table: SourceTable, stated: str | None, scan_column: str, reading: Reading
) -> Pattern:
    """The pattern that was set, a column of paths, or a guess.

    Raises:
        SettingError: nothing tells, or several endings fit equally well.
    """
    if stated:
        column = None if "{" in stated else table.find(stated)
        return Pattern(stated if column is None else f"{{{column}}}")
    column = table.find(*PATHS)
    if column:
        return Pattern(f"{{{column}}}")
    return _guessed(root, [row[scan_column] or "" for row in table.rows], reading)


def _guessed(root: Path, names: Iterable[str], reading: Reading) -> Pattern:
    """The one ending that follows the scan names among the image files; label maps, masks and what is no T1 aside."""
    wanted = sorted(filter(None, names), key=len, reverse=True)
    endings: dict[str, int] = {}
    for path in images(root):
        name = next((name for name in wanted if _begins(path.name, name)), None)
        if name is None:
            parts = path.relative_to(root).parts
            if set(parts[:-1]) & set(wanted) and not NOT_A_SCAN.search(path.name):
                ending = "/".join("{scan_id}" if part in set(wanted) else part for part in parts)
                endings[ending] = endings.get(ending, 0) + 1
        elif not NOT_A_SCAN.search(path.name[len(name) :]):
            folders = [
                f"{{scan_id}}{part[len(name) :]}" if _begins(part, name) else part
                for part in path.relative_to(root).parts
            ]
            endings["/".join(folders)] = endings.get("/".join(folders), 0) + 1
    if not endings:
        raise SettingError(
            "image",
            "a column or a pattern like '{scan_id}_T1w.nii.gz'; no image starts with a scan's name",
            None,
        )
    other = {ending: kind for ending in endings if (kind := recognise([_NAME.sub(" ", ending)]).why_not)}
    usable = [ending for ending in endings if ending not in other] or list(endings)
    most = max(endings[ending] for ending in usable)
    best = [ending for ending in usable if endings[ending] == most]
    if len(best) > 1:
        raise SettingError("image", f"one pattern; the images fit {', '.join(best[:6])}", None)
    rest = [f"{ending} ({count})" for ending, count in endings.items() if ending != best[0]]
    if rest:
        reading.note(f"images are taken as {best[0]}; others of these scans are not: {', '.join(rest[:6])}.")
    return Pattern(best[0])


def _begins(text: str, name: str) -> bool:
    """Whether a text begins with a whole name: ``s1`` does not begin ``s10_T1w``, nor ``scan`` ``scanner``."""
    if not text.startswith(name):
        return False
    following = text[len(name) : len(name) + 1]
    return not ((name[-1].isdigit() and following.isdigit()) or (name[-1].isalpha() and following.isalpha()))
