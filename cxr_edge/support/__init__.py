"""Small tools without knowledge of films: atomic writes, locks, time, cores, text."""
