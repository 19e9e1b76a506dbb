"""Tools that every part of training shares: progress bars, tables and JSON, memory."""
