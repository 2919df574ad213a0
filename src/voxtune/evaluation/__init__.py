"""Scores a reviewer would trust: clustered intervals, paired tests, calibration, baselines."""
