"""A picture by itself: read from a file, its light and sharpness, whether the view has moved."""
