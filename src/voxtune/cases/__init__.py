"""Similar cases: the nearest participants of a scan by image, text or both, why they are near, and how their outcomes spread."""
