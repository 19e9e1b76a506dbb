"""Nights over time: history, drift, what readers say; only NumPy and the ledger."""
