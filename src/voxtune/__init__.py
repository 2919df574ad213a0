"""VoxTune adapts frozen 3D medical vision-language models to one disease with little data."""

__version__ = "0.1.0"
