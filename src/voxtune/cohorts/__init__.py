"""Downloads in, manifest rows out: one file for each source; readers never import each other."""
