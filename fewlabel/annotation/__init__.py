"""What people annotated, and what other tools exchange."""
