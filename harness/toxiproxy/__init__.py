"""An embedded server that speaks Toxiproxy's HTTP API: a TCP proxy whose connections can be broken on purpose.

`python -m harness.toxiproxy` (or `harness toxiproxy`) runs it in a process of its own, because the clients that drive
it block. What the toxics do is in `harness/toxics`, shared with the sim world; this package is the shell around it:

- `server` runs everything on one event loop; `api` is the HTTP side, `body` and `errors` its wire format, to the byte;
- `registry` holds the proxies by name, `proxy` is one of them: its toxics, its live connections;
- `listener` owns the port: open, closed but kept, or deaf (a partition: connecting gets no answer);
- `relay` is one connection: two sockets, a conduit between them, backpressure both ways;
- `dice` makes chance repeatable, `traffic` counts, `metrics` shows the counts to Prometheus.

Beyond Toxiproxy's API, and never visible in its answers: toxic types and attributes of `harness.toxics.catalog`, the
proxy key `follow`, `GET /effects`, `POST /proxies/{name}/abort_connections`, and the seed.
"""
