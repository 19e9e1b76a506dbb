"""Way from a path to the network's input: discovery, settling, reading, gates, preprocessing."""
