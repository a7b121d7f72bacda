"""What the guard refuses: the status, the body of the answer, the record, and that nothing was changed."""

import asyncio
import json

import pytest

GOOD = json.dumps({"reason": "drill"})
TOKEN = "alice-token-0123456789"


def error_of(answer):
    """The body of a refusal, which has this form and no other."""
    body = answer.json()
    assert list(body) == ["error"]
    assert sorted(body["error"]) == ["code", "fields", "message"]
    return body["error"]


async def test_a_good_call_gets_through_and_leaves_no_record(service) -> None:
    """As the operator whose token it bears; reading needs no id."""
    answer = await service.call()
    assert (answer.status_code, answer.json()) == (200, {"by": "alice"})
    read = await service.call("GET", "/api/state", headers={"X-Request-Id": None, "Content-Type": None})
    assert (read.status_code, read.json()) == (200, {"changes": 1})
    assert service.records == []


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong-token-0123456789",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN} {TOKEN}",
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/api/change"), ("GET", "/api/state"), ("GET", "/nowhere")])
async def test_without_a_valid_token_there_is_nothing(service, authorization, method, path) -> None:
    """401 for every path alike, one that is not there too, and nothing is done."""
    answer = await service.call(method, path, headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert error_of(answer)["code"] == "unauthorized"
    assert service.told() == [(None, 401, "unauthorized")]
    record = service.records[0]
    assert (record.source, record.method, record.path) == ("10.0.0.9", method, path)
    assert service.changes == []


async def test_two_tokens_are_none(service) -> None:
    """Of two headers a proxy and the service might each believe another one."""
    messages = await raw(service, [(b"authorization", f"Bearer {TOKEN}".encode())] * 2, [GOOD.encode()])
    assert messages[0]["status"] == 401
    assert service.changes == []


async def test_no_body_is_read_without_a_token(service) -> None:
    """Whoever has none cannot have the service hold their bytes."""
    received = []

    async def receive():
        received.append(1)
        return {"type": "http.request", "body": b"x", "more_body": True}

    messages = await raw(service, [], [], receive=receive)
    assert (messages[0]["status"], received) == (401, [])


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ("{", "body", "is not JSON"),
        ("", "body", "is missing"),
        ("[]", "body", "must be an object"),
        ("{}", "body.reason", "is missing"),
        ('{"reason": 5}', "body.reason", "must be a string"),
        ('{"reason": ""}', "body.reason", "is too short"),
        (json.dumps({"reason": "r" * 21}), "body.reason", "is too long"),
        ('{"reason": "drill", "amount": "SECRET"}', "body.amount", "must be a number"),
        ('{"reason": "drill", "SECRET": 1}', "body", "is not a field of this call"),
    ],
)
async def test_a_wrong_form_is_named_by_field(service, body, field, problem) -> None:
    """422 with the field and what is wrong with it; what was sent is not repeated."""
    answer = await service.call(content=body)
    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (422, "invalid")
    assert error["fields"] == [{"field": field, "problem": problem}]
    assert "SECRET" not in answer.text
    assert service.told() == [("alice", 422, "invalid")]
    assert service.changes == []


@pytest.mark.parametrize("body", [b"\xff\xfe{", b"[" * 190, b'{"reason": "\xff"}'])
async def test_what_no_decoder_takes_is_a_wrong_form(service, body) -> None:
    """Bytes that are no text, and depth without end."""
    answer = await service.call(content=body)
    assert (answer.status_code, error_of(answer)["code"]) == (422, "invalid")
    assert service.changes == []


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
async def test_only_json_is_taken(service, kind) -> None:
    """415; what a browser's form can send from a foreign page is among the refused."""
    answer = await service.call(headers={"Content-Type": kind})
    assert (answer.status_code, error_of(answer)["code"]) == (415, "not_json")
    assert service.told() == [("alice", 415, "not_json")]
    assert service.changes == []


async def test_json_with_a_charset_is_json(service) -> None:
    """Parameters of the content type are nobody's business here."""
    assert (await service.call(headers={"Content-Type": "Application/JSON; charset=utf-8"})).status_code == 200


async def test_a_declared_length_is_refused_unread(service) -> None:
    """413 from the header alone."""
    answer = await service.call(content="x" * 201)
    assert (answer.status_code, error_of(answer)["code"]) == (413, "too_large")
    assert service.told() == [("alice", 413, "too_large")]
    assert service.changes == []


async def test_a_chunked_body_is_counted(service) -> None:
    """413 although no length was declared, and no more is read than shows it."""
    read = 0

    async def endless():
        nonlocal read
        while True:
            read += 1
            yield b"x" * 50

    answer = await service.call(content=endless())
    assert (answer.status_code, error_of(answer)["code"], read) == (413, "too_large", 5)
    assert service.changes == []


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"\xb2", b"9" * 30, b""])
async def test_a_length_that_is_none_is_refused(service, length) -> None:
    """A server may pass it on unread."""
    messages = await raw(service, [*good_headers(), (b"content-length", length)], [GOOD.encode()])
    assert messages[0]["status"] == 413
    assert service.changes == []


async def test_a_body_of_exactly_the_limit_gets_through(service) -> None:
    """The limit itself is allowed, in however many pieces."""
    body = GOOD.ljust(200).encode()
    messages = await raw(service, good_headers(), [body[:7], body[7:]])
    assert messages[0]["status"] == 200
    assert service.changes == [("alice", "drill")]


async def test_a_body_that_never_ends_is_given_up(new_service) -> None:
    """408 after the time for it: a caller cannot hold on to a place by sending nothing."""
    service = new_service(body_timeout_s=0.01)

    async def receive():
        await asyncio.Event().wait()

    messages = await raw(service, good_headers(), [], receive=receive)
    assert messages[0]["status"] == 408
    assert service.told() == [("alice", 408, "too_slow")]


async def test_a_caller_who_leaves_is_recorded(service) -> None:
    """Half a body is no call."""

    async def receive():
        return {"type": "http.disconnect"}

    assert await raw(service, good_headers(), [], receive=receive) == []
    assert service.told() == [("alice", 499, "disconnected")]
    assert service.changes == []


@pytest.mark.parametrize("nonce", [None, "", "short", "x" * 65, "with space", "new\tline", "quote'"])
async def test_a_change_needs_an_id(service, nonce) -> None:
    """422 without one of the right form."""
    answer = await service.call(headers={"X-Request-Id": nonce})
    error = error_of(answer)
    assert (answer.status_code, error["code"], error["fields"][0]["field"]) == (422, "no_request_id", "X-Request-Id")
    assert service.told() == [("alice", 422, "no_request_id")]
    assert service.changes == []


async def test_an_id_is_good_once(service) -> None:
    """401 for the second call, with the same body or another; another operator has ids of their own."""
    assert (await service.call()).status_code == 200
    for body in ({"reason": "drill"}, {"reason": "other"}):
        answer = await service.call(json_body=body)
        assert (answer.status_code, error_of(answer)["code"]) == (401, "replayed")
    assert service.told() == [("alice", 401, "replayed")] * 2
    bob = await service.call(headers={"Authorization": "Bearer bob-token-0123456789ab"})
    assert (bob.status_code, service.changes) == (200, [("alice", "drill"), ("bob", "drill")])


async def test_concurrent_replays_get_through_once(service) -> None:
    """Of ten copies that arrive together, one is the call."""
    answers = await asyncio.gather(*(service.call() for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200, *[401] * 9]
    assert len(service.changes) == 1


async def test_ids_that_cannot_be_remembered_refuse_the_call(service, caplog) -> None:
    """503, and what went wrong is in the log only."""
    service.nonce_error = OSError("no space left on SECRET")
    answer = await service.call()
    assert (answer.status_code, error_of(answer)["code"]) == (503, "unavailable")
    assert "SECRET" not in answer.text
    assert "SECRET" in caplog.text
    assert service.changes == []


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/nowhere", 404), ("GET", "/api/change", 405)])
async def test_wrong_paths_and_methods_are_refused_alike(service, method, path, status) -> None:
    """In the one form that all refusals have, and recorded."""
    answer = await service.call(method, path)
    assert answer.status_code == status
    assert service.told() == [("alice", status, error_of(answer)["code"])]


async def test_a_route_that_breaks_says_nothing_of_it(service, caplog) -> None:
    """500 without the exception's text, which goes to the log."""
    service.error = ZeroDivisionError("SECRET")
    answer = await service.call()
    assert (answer.status_code, error_of(answer)["code"]) == (500, "internal")
    assert "SECRET" not in answer.text
    assert "SECRET" in caplog.text
    assert service.told() == [("alice", 500, "internal")]


async def test_a_refusal_that_cannot_be_recorded_stands(service, caplog) -> None:
    """An auditor that fails lets nobody in; the log has what it did not take."""
    service.audit_error = OSError("disk full")
    answer = await service.call(headers={"Authorization": None})
    assert answer.status_code == 401
    assert "could not be recorded" in caplog.text


async def test_no_token_is_in_logs_records_or_answers(service, caplog) -> None:
    """Neither a right one nor a wrong one, whatever goes wrong."""
    service.error = ValueError("x")
    wrong = "guessed-0123456789"
    texts = [(await service.call()).text, (await service.call(headers={"Authorization": f"Bearer {wrong}"})).text]
    texts += [caplog.text, str(service.records), repr(service.app.user_middleware)]
    assert not [text for text in texts if wrong in text or TOKEN in text]


async def test_a_path_is_recorded_bounded_and_printable(service) -> None:
    """It is the caller's: it must neither fill records nor write lines of its own into them."""
    await service.call("GET", "/a%0ab" + "x" * 500, headers={"Authorization": None})
    path = service.records[0].path
    assert (len(path), path.isprintable(), path.isascii()) == (200, True, True)


async def test_websockets_are_closed(service) -> None:
    """Nothing is served over them, so nothing gets past the guard by one."""
    sent = []

    async def send(message):
        sent.append(message)

    await service.app({"type": "websocket", "path": "/api/state", "headers": []}, None, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


def good_headers():
    """Those of a good call."""
    return [
        (b"authorization", f"Bearer {TOKEN}".encode()),
        (b"content-type", b"application/json"),
        (b"x-request-id", b"request-0001"),
    ]


async def raw(service, headers, pieces, *, receive=None):
    """One call with just these headers, its body in these pieces; return what was sent."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/api/change",
        "raw_path": b"/api/change",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": ("service", 80),
    }
    waiting = list(pieces)
    sent = []

    async def from_pieces():
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    await service.app(scope, receive or from_pieces, send)
    return sent
