"""What finished runs reach, and the thresholds that follow from it."""
