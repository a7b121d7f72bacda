"""A locustfile: users that talk to the echo service over a WebSocket, and record each answer as an operation."""

import time

import gevent
from locust import task
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from harness.load.user import LoadUser


class Talker(LoadUser):
    """Says something every 20 ms over one connection; begins another when it is lost."""

    @task
    def talk(self) -> None:
        """Talk over one connection until it is lost."""
        try:
            with (
                self.session.dial("echo", 1.0) as sock,
                connect("ws://echo/ws", sock=sock, compression=None, open_timeout=1.0, close_timeout=0.1) as socket,
            ):
                while True:
                    self.say(socket)
                    gevent.sleep(0.02)
        except (OSError, WebSocketException) as error:
            self.request("connection", 0.0, error)
            gevent.sleep(0.05)

    def say(self, socket) -> None:
        """Send something and wait for it to come back."""
        words = f"{self.name} {self.session.draws(self.name).below(1_000)}"
        began = time.perf_counter()
        operation = self.session.log.invoke("say", user=self.name, words=words)
        socket.send(words)
        operation.ok(answer=socket.recv(timeout=1.0))
        self.request("say", 1000 * (time.perf_counter() - began), None)

    def request(self, name: str, took_ms: float, error: Exception | None) -> None:
        """Tell Locust of a request."""
        self.environment.events.request.fire(
            request_type="WS", name=name, response_time=took_ms, response_length=0, exception=error, context={}
        )
