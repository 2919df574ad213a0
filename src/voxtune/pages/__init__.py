"""HTML for people: pure functions from values to a page in one file. No torch here."""
