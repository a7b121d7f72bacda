"""The parts of the Binance rate limiter and adapter: decisions without I/O, each a subject of its own."""
