"""Into the PACS and out of it: films received, results written and sent."""
