"""``voxtune similar``: the participants nearest to a scan, why, and how well such cases are found."""
