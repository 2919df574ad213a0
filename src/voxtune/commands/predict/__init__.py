"""``voxtune predict``: what an adapter sees in scans."""
