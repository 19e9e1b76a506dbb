"""Behaviour that a version constant stands for, pinned film by film."""
