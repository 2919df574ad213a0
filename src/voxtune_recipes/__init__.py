"""Recipes: one function a file that returns a RunConfig; they change on another schedule than the library."""
