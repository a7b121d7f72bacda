"""What a request meets before the market: routes, limits, bans, signatures, and the faults that were armed.

Everything here is pure: time and dice are passed in. `errors` is the one table of error bodies, shared with the market
and with the respx routes for unit tests.
"""
