"""The images below a folder: NIfTI files and DICOM folders, without what VoxTune itself wrote there."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NIFTI = (".nii", ".nii.gz")
DICOM = (".dcm", ".ima")
NO_CONTENT = "a link to a file that is not there (an annex without its content?)"


@dataclass(frozen=True)
class ImageFiles:
    """What a walk over a folder found, in the order of the paths."""

    images: tuple[Path, ...]
    """NIfTI files, and folders of DICOM files that have no NIfTI file beside them."""
    broken: tuple[Path, ...]
    """Links whose file is not there."""
    own: int
    """Images of earlier runs (``<manifest>_images/``, preprocessed volumes), which are no source."""

    @property
    def note(self) -> str:
        """A line on what was passed over, empty where nothing was."""
        return (
            f"{self.own} images that an earlier 'ingest' or 'preprocess' wrote here are no source and were passed over."
            if self.own
            else ""
        )


def find_image_files(root: Path, endings: tuple[str, ...] = NIFTI) -> ImageFiles:
    """Every image below a folder; linked folders are followed once, hidden files and folders are not looked at."""
    images: list[Path] = []
    broken: list[Path] = []
    own = 0
    for folder, names in _walk(root):
        files = [folder / name for name in names if name.lower().endswith(endings)]
        if is_own_output(folder, names):
            own += len(files)
            continue
        broken += [path for path in files if not path.exists()]
        files = [path for path in files if path.exists()]
        images += files
        if not files and any(name.lower().endswith(DICOM) for name in names):
            images.append(folder)
    return ImageFiles(tuple(sorted(images)), tuple(sorted(broken)), own)


def find_tables(root: Path, endings: tuple[str, ...] = (".csv",)) -> list[Path]:
    """Every table below a folder by its ending, without the manifests and lists that VoxTune wrote there."""
    found = []
    for folder, names in _walk(root):
        if not is_own_output(folder, names):
            found += [
                folder / name
                for name in names
                if name.lower().endswith(endings) and not name.startswith("~$")
            ]
    return sorted(path for path in found if path.is_file())


def is_own_output(folder: Path, names: list[str]) -> bool:
    """Whether ``ingest`` or ``preprocess`` wrote this folder."""
    if "chain.json" in names and any(name.startswith("volume.nii") for name in names):
        return True
    manifest = folder.name.removesuffix("_images")
    return manifest != folder.name and (folder.parent / f"{manifest}.dropped.tsv").is_file()


def _walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders and the names of their files, sorted, without hidden ones; every real folder once."""
    seen: set[tuple[int, int]] = set()
    for folder, below, names in os.walk(root, followlinks=True):
        status = Path(folder).stat()
        real = (status.st_dev, status.st_ino)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield Path(folder), sorted(name for name in names if not name.startswith("."))
