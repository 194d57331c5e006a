"""Published methods that no stage of the pipeline uses, and how rows name estimators."""
