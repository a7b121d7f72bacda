"""A locustfile as anybody writes it: it knows nothing of the harness."""

from locust import HttpUser, constant, task


class Visitor(HttpUser):
    """Looks at a page that is well and at one that is not."""

    wait_time = constant(0.02)

    @task
    def look(self) -> None:
        """Look at both."""
        self.client.get("/")
        self.client.get("/ill")
