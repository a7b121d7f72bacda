"""The dashboard: numbers grow over lives, a client is let in by its token and told everything, a stranger is not."""

from harness.trial import Trial
from scenarios.dashboard_hosts import TOKEN
from scenarios.feed_client import FeedClient
from scenarios.feed_connection import FeedConnection
from scenarios.ports.dashboard import DashboardServer
from scenarios.serving import serving_itself

_EVENTS = (("market.price", "BTCUSDT", 1), ("order.filled", "BTCUSDT", {"qty": "0.1"}), ("market.price", "BTCUSDT", 2))


async def talk(trial: Trial) -> None:
    """Publish three events, have a client hear of a fourth, close, and open again."""
    server: DashboardServer = trial.make(directory=trial.disk, name="trial", token=TOKEN)
    await trial.call("start()", server.start)
    numbers = [await trial.call("publish()", server.publish, *event) for event in _EVENTS]
    async with serving_itself(server.app()) as url:
        client, stranger = FeedClient(TOKEN), FeedClient("no such token")
        known, unknown = await _connected(trial, url, client), await _connected(trial, url, stranger)
        await trial.expect("a client with the token is up to date", lambda: client.complete, after="the hello")
        numbers.append(await trial.call("publish()", server.publish, "ess.tripped", "ess", True))  # noqa: FBT003
        await trial.expect("it has the new event", lambda: client.through == numbers[-1], after="publish()")
        trial.equal("gaps in what it was told", [], list(client.gaps))
        await trial.expect("a client without the token is sent away", unknown.ended.done, after="its hello")
        trial.equal("what that one was told", None, stranger.through)
        await trial.call("close()", server.close)
        await trial.expect("the client's connection is ended", known.ended.done, after="close()")
    again: DashboardServer = trial.make(directory=trial.disk, name="trial", token=TOKEN)
    await trial.call("start() of the next life", again.start)
    numbers.append(await trial.call("publish()", again.publish, *_EVENTS[0]))
    trial.equal("the numbers in order, none of them twice", sorted(set(numbers)), numbers)
    await trial.call("close()", again.close)


async def _connected(trial: Trial, url: str, client: FeedClient) -> FeedConnection:
    def heard(text: bytes) -> None:
        client.feed(text)

    connection = FeedConnection(f"{url}/ws", name="trial", on_text=heard)
    await trial.call("connecting to /ws", connection.connect)
    connection.send(client.hello())
    return connection
