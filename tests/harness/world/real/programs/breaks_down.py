"""A locustfile whose users have a defect."""

from locust import User, task


class Broken(User):
    """Raises."""

    @task
    def work(self) -> None:
        """Raise."""
        raise KeyError("no such thing")
