"""Everything about a model: its spec, its files, where it lies, its self-test."""
