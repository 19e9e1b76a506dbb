"""One training, from a recipe to a finished run folder."""
