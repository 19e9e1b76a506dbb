"""The way from the PACS and back into it. Needs the extra `hospital`."""
