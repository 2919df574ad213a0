"""One published model, one file; siblings share only ``bert`` (the text tower of most) and ``weights`` (how a checkpoint loads)."""
