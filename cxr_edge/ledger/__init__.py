"""The SQLite ledger of all runs, and the state folder that holds it."""
