"""The verbs, one file each: they join the rooms of the house and write files."""
