"""Which images to label."""
