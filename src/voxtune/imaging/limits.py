"""What an untrusted file may ask for. Checked before anything is allocated."""

MAX_AXIS = 4096
"""Voxels along one axis."""
MAX_VOXELS = 400_000_000
"""Voxels of a volume: a 512 x 512 x 1500 CT passes and takes 1.6 GB as float32."""
MAX_FILE_BYTES = 8 * 2**30
"""Size of a file on disk."""
BIG_BYTES = 256 * 2**20
MAX_RATIO = 300
"""Decompressed to compressed bytes allowed above ``BIG_BYTES``; heads reach about 4, stripped and zero-padded ones 60."""
MAX_TRAILING_BYTES = 2**20
"""Bytes after the last voxel of a .mgz, where FreeSurfer adds what it did to it."""
MAX_TRAILING_NIFTI_BYTES = 2**12
"""Bytes after the last voxel of a NIfTI file; more means the header does not describe the file."""
MIN_SPACING_MM, MAX_SPACING_MM = 0.01, 100.0
"""Plausible distance between voxels."""
MAX_EXTENT_MM = 5_000.0
"""Plausible edge of the field of view."""
MAX_ORIGIN_MM = 1e6
"""How far from the world's origin a scan may lie: beyond it single precision, in which headers are kept, is coarser than a voxel."""
FEWEST_LEVELS = 1000
"""Steps of single precision between the darkest and the brightest voxel; 8 bits near 0 have millions."""
MAX_NONFINITE = 0.5
"""Share of NaN and infinite voxels above which a scan is refused; fewer become 0 (tools mark background so)."""
MAX_MEMBERS = 20_000
"""Files in a DICOM folder or zip."""
MAX_ARCHIVE_BYTES = 4 * 2**30
"""Unpacked bytes of a zip."""
