"""Published weights: names, conversion, sources and licences."""
