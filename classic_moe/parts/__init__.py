"""What experts and gates are made of."""
