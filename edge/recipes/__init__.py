"""Several products on one station: which there are, which is wanted, and the switch between two parts."""
