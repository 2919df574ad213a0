"""File to volume: read, orient, denoise, bias, skull, register, resample, intensity, and the chain of them."""
