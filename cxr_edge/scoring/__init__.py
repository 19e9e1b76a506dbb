"""One night: from found files to recorded rows and a report."""
