"""The simulated cohort: people whose anatomy, disease and scans are known exactly. Always labelled SIMULATED."""
