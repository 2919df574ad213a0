"""Rows in, report text out: templates, wording, and which field may be seen when."""
