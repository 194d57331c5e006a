"""Published methods that no stage of the pipeline uses."""
