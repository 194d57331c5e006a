"""Attacks on every promise of the pipeline: nothing lost, nothing executed, no silent error."""
