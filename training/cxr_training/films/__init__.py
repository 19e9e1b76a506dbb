"""Labelled films: reading, patients, folds, augmentation."""
