"""The search for a recipe behind `cxr-edge search`."""
