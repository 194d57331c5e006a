"""The classifiers to choose from."""
