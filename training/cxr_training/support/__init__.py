"""What every part of training shares: progress for people, tables and JSON, memory."""
