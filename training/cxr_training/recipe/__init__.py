"""Recipes: everything that decides a training, read from TOML."""
