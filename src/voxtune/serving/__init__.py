"""From bytes to a prediction, for the command line and for programs."""
