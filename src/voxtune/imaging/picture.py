"""What a picture itself says against its header, whatever it shows: sizes of the grid, order of the slices, numbers that ran over."""

from pathlib import Path

from voxtune.errors import ScanError
from voxtune.imaging.brightness import refuse_labels
from voxtune.imaging.grid_sizes import check_grid_sizes
from voxtune.imaging.slice_order import check_slice_order
from voxtune.imaging.wrapped import ran_over
from voxtune.types.volume import Volume


def check_picture(scan: str | Path, volume: Volume) -> tuple[str, ...]:
    """Refuse a picture that was put together wrongly; what is only doubtful comes back as sentences.

    Args:
        scan: names itself in messages.
        volume: as it was read, its axes those of the file.

    Raises:
        ScanError: sizes in the header are exchanged, slices are out of order, or it is a mask.
    """
    try:
        return (*check_grid_sizes(scan, volume), *check_slice_order(scan, volume), *ran_over(volume))
    except ScanError:
        # Labels have no order either, and are better called what they are.
        try:
            refuse_labels(volume.voxels)
        except ScanError as error:
            raise ScanError(scan, error.cause) from None
        raise
