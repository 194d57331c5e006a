"""From the labels of a few images to pseudo-labels of all."""
