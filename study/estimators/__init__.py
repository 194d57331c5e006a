"""Published methods that no stage of the pipeline uses, and how rows of the study name estimators."""
