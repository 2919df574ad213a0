"""The audit: checks for information that crosses a split, one a file."""
