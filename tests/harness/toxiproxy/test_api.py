"""The HTTP API, answer by answer, to the byte: what clients of the original parse and match on."""

import socket

import pytest

pytestmark = pytest.mark.real

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
UPSTREAM = "127.0.0.1:9"


@pytest.fixture
def redis(server):
    """A disabled proxy `redis` with a toxic in each direction; its address is not resolved yet."""
    body = {"name": "redis", "listen": "127.0.0.1:26379", "upstream": UPSTREAM, "enabled": False}
    assert server.call("POST", "/proxies", body).status == 201
    for stream in ("downstream", "upstream"):
        body = {"type": "latency", "stream": stream, "attributes": {"latency": 5}}
        assert server.call("POST", "/proxies/redis/toxics", body).status == 200
    return server


UP = (
    b'{"attributes":{"latency":5,"jitter":0},"name":"latency_upstream","type":"latency","stream":"upstream",'
    b'"toxicity":1}'
)
DOWN = UP.replace(b"upstream", b"downstream")
REDIS = (
    b'{"name":"redis","listen":"127.0.0.1:26379","upstream":"127.0.0.1:9","enabled":false,"Logger":{},"toxics":['
    + UP + b"," + DOWN + b"]}"
)  # fmt: skip

SLICER = (
    b'{"attributes":{"average_size":9,"size_variation":2,"delay":7},"name":"s","type":"slicer","stream":"downstream",'
    b'"toxicity":1}'
)

SUCCESSES = {
    "all proxies": ("GET", "/proxies", None, 200, b'{"redis":' + REDIS + b"}"),
    "one proxy": ("GET", "/proxies/redis", None, 200, REDIS),
    "its toxics, upstream first": ("GET", "/proxies/redis/toxics", None, 200, b"[" + UP + b"," + DOWN + b"]"),
    "one toxic": ("GET", "/proxies/redis/toxics/latency_upstream", None, 200, UP),
    "create a proxy": (
        "POST", "/proxies", b'{"name":"n","listen":"127.0.0.1:1","upstream":"u:1","enabled":false}', 201,
        b'{"name":"n","listen":"127.0.0.1:1","upstream":"u:1","enabled":false,"Logger":{},"toxics":[]}',
    ),
    "keys in any case, unknown ones, null and what follows the value": (
        "POST", "/proxies", b'{"NAME":"n","Upstream":"u:1","listen":null,"eNabled":false,"x":[1]} trailing', 201,
        b'{"name":"n","listen":"","upstream":"u:1","enabled":false,"Logger":{},"toxics":[]}',
    ),
    "signs that the original escapes": (
        "POST", "/proxies", '{"name":"<é&>","upstream":"u:1","enabled":false}'.encode(), 201,
        '{"name":"\\u003cé\\u0026\\u003e","listen":"","upstream":"u:1","enabled":false,"Logger":{},"toxics":[]}'.encode(),
    ),
    "update a proxy by POST, changing nothing": ("POST", "/proxies/redis", b"{}", 200, REDIS),
    "update a proxy by PATCH": (
        "PATCH", "/proxies/redis", b'{"upstream":"u:2","name":"other"}', 200,
        REDIS.replace(b"127.0.0.1:9", b"u:2"),
    ),
    "add a toxic with all defaults": (
        "POST", "/proxies/redis/toxics", b'{"type":"timeout"}', 200,
        b'{"attributes":{"timeout":0},"name":"timeout_downstream","type":"timeout","stream":"downstream","toxicity":1}',
    ),
    "add a toxic, stream in capitals": (
        "POST", "/proxies/redis/toxics", b'{"type":"slow_close","stream":"Upstream","attributes":{"DELAY":3}}', 200,
        b'{"attributes":{"delay":3},"name":"slow_close_upstream","type":"slow_close","stream":"upstream","toxicity":1}',
    ),
    "add a toxic with a toxicity of 32 bits": (
        "POST", "/proxies/redis/toxics", b'{"type":"bandwidth","toxicity":0.123456789,"name":"b"}', 200,
        b'{"attributes":{"rate":0},"name":"b","type":"bandwidth","stream":"downstream","toxicity":0.12345679}',
    ),
    "all attributes of a slicer, in order": (
        "POST", "/proxies/redis/toxics",
        b'{"type":"slicer","name":"s","attributes":{"delay":7,"average_size":9,"size_variation":2}}', 200,
        SLICER,
    ),
    "update a toxic by POST: the rest stays": (
        "POST", "/proxies/redis/toxics/latency_upstream",
        b'{"name":"x","stream":"downstream","type":"timeout","attributes":{"jitter":2},"toxicity":0.5}', 200,
        UP.replace(b'"jitter":0', b'"jitter":2').replace(b'"toxicity":1', b'"toxicity":0.5'),
    ),
    "update a toxic by PATCH": ("PATCH", "/proxies/redis/toxics/latency_upstream", b"{}", 200, UP),
    "populate": (
        "POST", "/populate", b'[{"name":"a","upstream":"u:1","enabled":false}]', 201,
        b'{"proxies":[{"name":"a","listen":"","upstream":"u:1","enabled":false,"Logger":{},"toxics":[]}]}',
    ),
    "populate with a proxy that is as it is to be": (
        "POST", "/populate", b'[{"name":"redis","listen":"127.0.0.1:26379","upstream":"127.0.0.1:9"}]', 201,
        b'{"proxies":[' + REDIS + b"]}",
    ),
    "populate with nothing": ("POST", "/populate", b"[]", 201, b'{"proxies":null}'),
}  # fmt: skip


@pytest.mark.parametrize("case", SUCCESSES)
def test_answers(redis, case):
    """What succeeds is answered with exactly these bytes, as application/json."""
    method, path, body, status, expected = SUCCESSES[case]
    answer = redis.call(method, path, body)
    assert (answer.status, answer.body) == (status, expected)
    assert answer.headers["content-type"] == JSON
    assert "x-content-type-options" not in answer.headers


def error(text, status):
    """Return an error body."""
    return b'{"error":"' + text.encode() + b'","status":' + str(status).encode() + b"}\n"


NO_PROXY, NO_TOXIC = error("proxy not found", 404), error("toxic not found", 404)
BAD_STREAM = error("stream was invalid, can be either upstream or downstream", 400)
TAKEN, TOXIC_TAKEN = error("proxy already exists", 409), error("toxic already exists", 409)
NO_NAME, NO_UPSTREAM = error("missing required field: name", 400), error("missing required field: upstream", 400)
EMPTY = error("bad request body: EOF", 400)

ERRORS = {
    "show no proxy": ("GET", "/proxies/x", None, 404, NO_PROXY),
    "update no proxy": ("POST", "/proxies/x", b"{", 404, NO_PROXY),
    "patch no proxy": ("PATCH", "/proxies/x", b"{}", 404, NO_PROXY),
    "delete no proxy": ("DELETE", "/proxies/x", None, 404, NO_PROXY),
    "toxics of no proxy": ("GET", "/proxies/x/toxics", None, 404, NO_PROXY),
    "add a toxic to no proxy": ("POST", "/proxies/x/toxics", b"{}", 404, NO_PROXY),
    "a toxic of no proxy": ("GET", "/proxies/x/toxics/y", None, 404, NO_PROXY),
    "show no toxic": ("GET", "/proxies/redis/toxics/x", None, 404, NO_TOXIC),
    "update no toxic": ("POST", "/proxies/redis/toxics/x", b"{}", 404, NO_TOXIC),
    "delete no toxic": ("DELETE", "/proxies/redis/toxics/x", None, 404, NO_TOXIC),
    "a proxy that is there": ("POST", "/proxies", b'{"name":"redis","upstream":"u:1"}', 409, TAKEN),
    "a toxic that is there": ("POST", "/proxies/redis/toxics", b'{"type":"latency"}', 409, TOXIC_TAKEN),
    "a toxic whose name the other direction has": (
        "POST", "/proxies/redis/toxics", b'{"type":"timeout","name":"latency_upstream"}', 409, TOXIC_TAKEN,
    ),
    "no name": ("POST", "/proxies", b'{"upstream":"u:1"}', 400, NO_NAME),
    "an empty name": ("POST", "/proxies", b'{"name":"","upstream":"u:1"}', 400, NO_NAME),
    "no upstream": ("POST", "/proxies", b'{"name":"n"}', 400, NO_UPSTREAM),
    "nothing at all": ("POST", "/proxies", b"null", 400, NO_NAME),
    "no body": ("POST", "/proxies", b"", 400, EMPTY),
    "no body for a toxic": ("POST", "/proxies/redis/toxics", b"", 400, EMPTY),
    "no body for an update": ("POST", "/proxies/redis", b"", 400, EMPTY),
    "no such type": ("POST", "/proxies/redis/toxics", b'{"type":"nope"}', 400, error("invalid toxic type", 400)),
    "no type": ("POST", "/proxies/redis/toxics", b"{}", 400, error("invalid toxic type", 400)),
    "no such stream": ("POST", "/proxies/redis/toxics", b'{"type":"timeout","stream":"up"}', 400, BAD_STREAM),
    "an empty stream": ("POST", "/proxies/redis/toxics", b'{"type":"timeout","stream":""}', 400, BAD_STREAM),
    "a bad stream before a bad type": ("POST", "/proxies/redis/toxics", b'{"type":"x","stream":"up"}', 400, BAD_STREAM),
    "an address without port": (
        "POST", "/proxies", b'{"name":"n","upstream":"u:1","listen":"host"}', 500,
        error("listen tcp: address host: missing port in address", 500),
    ),
    "an address that is not ours": (
        "POST", "/proxies", b'{"name":"n","upstream":"u:1","listen":"192.0.2.1:80"}', 500,
        error("listen tcp 192.0.2.1:80: bind: cannot assign requested address", 500),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors(redis, case):
    """What fails is answered with exactly these bytes, as text that no browser is to sniff."""
    method, path, body, status, expected = ERRORS[case]
    answer = redis.call(method, path, body)
    assert (answer.status, answer.body) == (status, expected)
    assert answer.headers["content-type"] == TEXT
    assert answer.headers["x-content-type-options"] == "nosniff"


POPULATE_ERRORS = {
    "no name": (b'[{"name":"a","upstream":"u:1","enabled":false},{}]', "missing required field: name at proxy 2"),
    "no upstream": (b'[{"name":"a"}]', "missing required field: upstream at proxy 1"),
    "no body": (b"", "bad request body: EOF"),
}


@pytest.mark.parametrize("case", POPULATE_ERRORS)
def test_errors_of_populate(redis, case):
    """Populate's errors come with the proxies that were created, none here, and as application/json."""
    body, text = POPULATE_ERRORS[case]
    answer = redis.call("POST", "/populate", body)
    assert answer.body == b'{"error":"' + text.encode() + b'","status":400,"proxies":null}'
    assert answer.status == 400
    assert answer.headers["content-type"] == JSON
    assert list(redis.call("GET", "/proxies").json()) == ["redis"]


BAD_BODIES = {
    "not JSON": b"{nope",
    "half of it": b'{"name":',
    "not an object": b"[1]",
    "a word": b"nope",
    "a number that JSON has not": b'{"type":"timeout","toxicity":NaN}',
    "a number of 5000 digits": b'{"toxicity":' + b"9" * 5000 + b"}",
    "a nest": b"[" * 100_000,
    "a toxicity too large for 32 bits": b'{"type":"timeout","toxicity":1e39}',
    "a text for a number": b'{"type":"timeout","toxicity":"1"}',
    "true for a number": b'{"type":"timeout","toxicity":true}',
    "a number for a text": b'{"type":1}',
    "a list for attributes": b'{"type":"timeout","attributes":[]}',
    "a fraction for an integer": b'{"type":"latency","name":"n","attributes":{"latency":1.5}}',
    "1.0 for an integer": b'{"type":"latency","name":"n","attributes":{"latency":1.0}}',
    "true for an integer": b'{"type":"latency","name":"n","attributes":{"latency":true}}',
    "a slicer without sizes": b'{"type":"slicer"}',
    "a slicer that varies by more than its size": (
        b'{"type":"slicer","attributes":{"average_size":10,"size_variation":11}}'
    ),
    "a negative rate": b'{"type":"bandwidth","attributes":{"rate":-1}}',
    "a huge jitter": b'{"type":"latency","name":"n","attributes":{"jitter":9223372036854775807}}',
    "no such unit of toxicity": b'{"type":"timeout","toxicity_per":"byte"}',
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_bad_bodies(redis, case):
    """What cannot be read, and what crashes the original, is refused with a reason; nothing is created."""
    before = redis.call("GET", "/proxies").body
    answer = redis.call("POST", "/proxies/redis/toxics", BAD_BODIES[case])
    assert answer.status == 400
    assert answer.json()["error"].startswith("bad request body: ")
    assert answer.headers["content-type"] == TEXT
    assert redis.call("GET", "/proxies").body == before


def test_an_update_that_is_refused_changes_nothing(redis):
    """A toxic keeps all its attributes when one of the new ones is refused."""
    path = "/proxies/redis/toxics/latency_upstream"
    answer = redis.call("POST", path, {"toxicity": 0.5, "attributes": {"jitter": 9, "latency": -1}})
    assert answer.status == 400
    assert redis.call("GET", path).body == UP


@pytest.mark.parametrize(
    "path", ["/", "/proxies/", "/Proxies", "/proxies/redis/toxics/x/y", "/proxies/a%2Fb", "/toxics"]
)
def test_unknown_paths(server, path):
    """A path that is not there is told so in the words of the original's HTTP library."""
    answer = server.call("GET", path)
    assert (answer.status, answer.body) == (404, b"404 page not found\n")
    assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == (TEXT, "nosniff")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/proxies"), ("HEAD", "/proxies"), ("OPTIONS", "/proxies"), ("GET", "/reset"), ("GET", "/populate"),
        ("POST", "/version"), ("PUT", "/proxies/redis"), ("DELETE", "/proxies/redis/toxics"), ("POST", "/metrics"),
        ("PUT", "/proxies/redis/toxics/latency_upstream"), ("BREW", "/proxies"),
    ],
)  # fmt: skip
def test_wrong_methods(redis, method, path):
    """A method that a path does not have is answered by an empty 405."""
    answer = redis.call(method, path)
    assert (answer.status, answer.body) == (405, b"")
    assert "content-type" not in answer.headers


def test_browsers_are_sent_away(server):
    """A browser, which a web page may have sent, gets nothing; unknown paths and methods are told first."""
    mozilla = {"User-Agent": "Mozilla/5.0 (X11)"}
    answer = server.call("GET", "/version", headers=mozilla)
    assert (answer.status, answer.body) == (403, b"User agent not allowed\n")
    assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == (TEXT, "nosniff")
    assert server.call("GET", "/nope", headers=mozilla).status == 404
    assert server.call("PUT", "/version", headers=mozilla).status == 405
    assert server.call("GET", "/version", headers={"User-Agent": "not Mozilla/5.0"}).status == 200


def test_version(server):
    """Clients decide by the version what they may ask for."""
    answer = server.call("GET", "/version")
    assert (answer.status, answer.body) == (200, b'{"version": "2.12.0"}\n')
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert "server" not in answer.headers


def test_deletes_and_reset_say_nothing(redis):
    """A toxic, a reset and a proxy are done with by an empty 204, and are gone."""
    assert redis.call("POST", "/proxies/redis", {"listen": "127.0.0.1:0"}).status == 200  # a port that nobody else has
    for method, path in (
        ("DELETE", "/proxies/redis/toxics/latency_upstream"),
        ("POST", "/reset"),
        ("DELETE", "/proxies/redis"),
    ):
        answer = redis.call(method, path)
        assert (answer.status, answer.body) == (204, b"")
    assert redis.call("GET", "/proxies").body == b"{}"


def test_reset_enables_proxies_and_removes_toxics(redis):
    """After a reset every proxy is enabled and clean."""
    assert redis.call("POST", "/proxies/redis", {"listen": "127.0.0.1:0"}).status == 200  # a port that nobody else has
    assert redis.call("POST", "/reset").status == 204
    proxy = redis.call("GET", "/proxies/redis").json()
    assert (proxy["enabled"], proxy["toxics"]) == (True, [])


def test_proxies_are_sorted_by_the_bytes_of_their_names(server):
    """The order does not depend on that of their creation."""
    for name in ("b", "é", "B", "a"):
        assert server.call("POST", "/proxies", {"name": name, "upstream": UPSTREAM, "enabled": False}).status == 201
    assert list(server.call("GET", "/proxies").json()) == ["B", "a", "b", "é"]


def test_listen_is_shown_resolved(server):
    """A name becomes an address, port 0 the port chosen; without an address it is a free port of 127.0.0.1."""
    for name, listen in (("named", "localhost:0"), ("silent", "")):
        shown = server.call("POST", "/proxies", {"name": name, "listen": listen, "upstream": UPSTREAM}).json()["listen"]
        host, _, port = shown.rpartition(":")
        assert host == "127.0.0.1"
        assert int(port) > 0
        assert server.call("GET", f"/proxies/{name}").json()["listen"] == shown


def test_ipv6_and_every_interface(server):
    """IPv6 addresses wear brackets; an address without host is every interface, of IPv4 too."""
    for name, listen, host in (("six", "[::1]:0", "::1"), ("all", ":0", "127.0.0.1")):
        shown = server.call("POST", "/proxies", {"name": name, "listen": listen, "upstream": UPSTREAM}).json()["listen"]
        assert shown.startswith("[::")
        socket.create_connection((host, int(shown.rpartition(":")[2])), 5).close()


def test_a_taken_port(server):
    """A proxy whose port is taken is not created; populate says what it created before."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        text = f"listen tcp {listen}: bind: address already in use"
        taken = {"name": "taken", "listen": listen, "upstream": UPSTREAM}
        answer = server.call("POST", "/proxies", taken)
        assert (answer.status, answer.body) == (500, error(text, 500))
        assert server.call("GET", "/proxies/taken").status == 404
        free = {"name": "free", "upstream": UPSTREAM, "enabled": False}
        answer = server.call("POST", "/populate", [free, taken, {**free, "name": "never"}])
        assert answer.status == 500
        told = answer.json()
        assert (told["error"], told["status"], [one["name"] for one in told["proxies"]]) == (text, 500, ["free"])
        assert list(server.call("GET", "/proxies").json()) == ["free"]


def test_a_body_that_never_ends_is_refused(server):
    """More than the server is willing to hold is refused, and it lives on."""
    answer = server.call("POST", "/proxies", b'{"name":"' + b"x" * 9_000_000 + b'"}')
    assert (answer.status, answer.json()["error"]) == (400, "bad request body: more than 8388608 bytes")


def test_extension_keys_are_taken_and_not_shown(redis):
    """`follow` and `toxicity_per` work, and the answers are those that the original would give."""
    answer = redis.call("POST", "/proxies/redis/toxics", {"type": "half_open", "toxicity_per": "message"})
    assert answer.body == (
        b'{"attributes":{},"name":"half_open_downstream","type":"half_open","stream":"downstream","toxicity":1}'
    )
    body = {"name": "f", "upstream": UPSTREAM, "enabled": False, "follow": "redis"}
    answer = redis.call("POST", "/proxies", body)
    assert list(answer.json()) == ["name", "listen", "upstream", "enabled", "Logger", "toxics"]
    assert redis.call("POST", "/proxies", {**body, "name": "g", "follow": "smtp"}).status == 400
