"""What MLflow refuses, known without MLflow."""


class RejectedError(Exception):
    """MLflow refuses what was to be logged, and would refuse it again."""
