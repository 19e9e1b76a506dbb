"""Figures of finished runs, and the thresholds that follow from it."""
