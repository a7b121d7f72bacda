"""TLS over simulated connections: asyncio streams and httpx against uvicorn.

OpenSSL has dice of its own, so bytes differ from run to run; what the applications see, and when, must not.
"""

import asyncio
import ssl

import httpx
import pytest
import trustme
import uvicorn


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def server_tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("server").configure_cert(context)
    return context


@pytest.fixture
def client_tls(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def echo_server(tls):
    async def program():
        async def echo(reader, writer):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(echo, "0.0.0.0", 8443, ssl=tls)
        await server.serve_forever()

    return program


def test_streams(simulate, server_tls, client_tls):
    """A megabyte is echoed; a partition delays what was sent; a kill ends the stream with a reset."""

    async def director(lab):
        lab.serve(echo_server(server_tls))

        async def use():
            reader, writer = await asyncio.open_connection("server", 8443, ssl=client_tls)
            lab.note("open", writer.get_extra_info("cipher") is not None)
            data = bytes(range(256)) * 4000
            writer.write(data)
            assert await reader.readexactly(len(data)) == data
            lab.note("echoed")
            lab.cut()
            writer.write(b"late")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await reader.readexactly(4)
            lab.heal()
            assert await reader.readexactly(4) == b"late"
            lab.note("late")
            lab.kill()
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
            lab.note("reset")
            writer.close()

        await lab.client(use)

    lab = simulate(director, same_bytes=False)
    assert [event[1] for event in lab.events] == ["open", "echoed", "late", "reset"]
    assert lab.events[0][0] == pytest.approx(0.004, abs=0.0021)
    assert round(lab.events[3][0] - lab.events[2][0], 6) == 0.001


def test_an_untrusted_certificate_is_refused(simulate, server_tls):
    """The client does not know the authority: the handshake fails on its side."""

    async def director(lab):
        lab.serve(echo_server(server_tls))

        async def use():
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection("server", 8443, ssl=ssl.create_default_context())
            lab.note("refused")

        await lab.client(use)

    assert [event[1] for event in simulate(director, same_bytes=False).events] == ["refused"]


def test_httpx_over_tls(simulate, authority, client_tls, tmp_path):
    """Httpx reaches uvicorn over TLS; a partition is a read timeout of the length asked for; a reset an error."""
    certificate = authority.issue_cert("server")
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    certificate.private_key_pem.write_to_path(key)
    certificate.cert_chain_pems[0].write_to_path(chain)

    async def app(scope, _receive, send):
        assert scope["type"] == "http"
        if scope["path"] == "/slow":
            await asyncio.sleep(30)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["scheme"].encode()})

    async def program():
        await uvicorn.Server(
            uvicorn.Config(
                app,
                host="0.0.0.0",
                port=8443,
                log_config=None,
                lifespan="off",
                ssl_keyfile=str(key),
                ssl_certfile=str(chain),
            )
        ).serve()

    async def director(lab):
        lab.serve(program)

        async def use():
            await asyncio.sleep(0.1)
            async with httpx.AsyncClient(verify=client_tls, timeout=4) as client:
                lab.note((await client.get("https://server:8443/")).text)
                lab.cut()
                began = lab.now()
                with pytest.raises(httpx.ReadTimeout):
                    await client.get("https://server:8443/")
                lab.note(round(lab.now() - began, 6))
                lab.heal()
                task = asyncio.ensure_future(client.get("https://server:8443/slow"))
                await asyncio.sleep(1)
                lab.reset()
                with pytest.raises(httpx.ReadError):
                    await task
                lab.note("reset")

        await lab.client(use)

    lab = simulate(director, same_bytes=False)
    assert [event[1] for event in lab.events] == ["https", 4.0, "reset"]
