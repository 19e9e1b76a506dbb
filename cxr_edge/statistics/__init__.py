"""Estimates and intervals, shared by the runtime, training and export."""
