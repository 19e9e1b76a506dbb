"""Models: a spec, its files, where they lie, their self-test."""
