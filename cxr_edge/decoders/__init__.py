"""Decoder processes: read and decode files that nobody trusts, outside the main process."""
