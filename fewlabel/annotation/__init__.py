"""What people answered, and what other tools exchange."""
