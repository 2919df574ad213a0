"""How anything of ours comes to lie on a disk, and how it is known again: one writer, one seal, one lock, one scratch place."""
