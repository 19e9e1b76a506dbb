"""How long a night takes, beside the report's own way, naive loops and what the cores could do."""
