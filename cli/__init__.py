"""The command `fewlabel`."""
