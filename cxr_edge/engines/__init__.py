"""Engines: where the work of a run is done, on this machine or on a cluster."""
