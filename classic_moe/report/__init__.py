"""What a fitted estimator says of itself, as text and tables."""
