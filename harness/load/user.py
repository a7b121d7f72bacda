"""What users of a load that record into the history are derived from."""

from typing import Any

from locust import User

from harness.load.plumbing import Plumbing, session

Plumbing.in_place()  # before Locust makes its runner, in a worker that was started by hand as well


class LoadUser(User):
    """A Locust user that knows its host: endpoints, parameters, dice and the record are in `session`.

    What fails at the other end, it tells by request events (`environment.events.request`) and in the record. What it
    raises is a defect of the load, and the run an error.
    """

    abstract = True

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.session = session()
        self.name = self.session.next_user()
