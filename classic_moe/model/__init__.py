"""Gate and experts as one model, and one pass over the rows."""
