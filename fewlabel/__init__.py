"""What each step of the pipeline computes: functions and scikit-learn estimators on arrays."""
