"""What becomes of the caller's rows: columns, units, facts and batches."""
