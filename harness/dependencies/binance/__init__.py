"""A Binance that punishes as the real one does: USD-M futures and spot over REST, and user data streams.

The exchange is a pure state machine: `Exchange.receive` takes one request and the time and says what becomes of it (an
answer, silence, a reset), and every decision is recorded. Around it there are thin shells: an HTTP and WebSocket server
(server.py), a machine of the sim world (sim.py), a process of the real one (real.py), and `harness binance`.

A request passes, in this order, the armed faults that hit the connection, the IP's limits (gate/), authentication, the
faults that stand for the exchange's own troubles, the order limits, and the market (market/). What is recorded is the
truth that invariants are judged by; what a client says of itself is only compared with it.

Facts and figures are Binance's public documentation as of 2026; where it is silent, `settings.py` says what is assumed.
"""
