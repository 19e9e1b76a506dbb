"""Cross-validation behind `cxr-edge train --folds`."""
