"""What one product needs to be inspected, and how it is opened."""
