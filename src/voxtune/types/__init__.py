"""The nouns that cross borders; import them from the file that defines them."""
