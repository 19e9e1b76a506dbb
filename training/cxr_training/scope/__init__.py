"""The scope gate: a tiny network that knows what is no chest film, and who looks like an adult."""
