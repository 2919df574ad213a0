"""DICOM to a volume: headers, frames, series, stack, pixels, each a file. pydicom reads, GDCM decodes what is packed."""
