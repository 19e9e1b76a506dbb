"""Fits the networks of the source report; written in Keras 3 alone."""
