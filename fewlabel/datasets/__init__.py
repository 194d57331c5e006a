"""How images arrive, as uint8."""
