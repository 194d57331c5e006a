"""The feature spaces to choose from."""
