"""Where a fit begins, and the race between several beginnings."""
