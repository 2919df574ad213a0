"""Many SIMULATED cohorts in place of one: which rows of a paper's tables can be told apart, and which cannot."""
