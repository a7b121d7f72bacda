"""The exchange's market, pure: symbols, book, orders, accounts. `venue.Venue` is the only entrance.

- venue.py: endpoints by name, and the hooks of faults and control. outcome.py: what a call came to.
- trading.py, quotes.py, reads.py: the endpoints that change orders, that are public, that are the account's.
- symbols.py: instruments and their public filters. listing.py: exchangeInfo.
- book.py: one symbol's liquidity: levels around a price, taken by takers, back after a while.
- request.py: an order's parameters, checked. orders.py: the orders there are. matching.py: what happens to them.
- account.py: what matching asks of an account. futures.py: positions and margin. spot.py: free and locked balances.
- views.py, statements.py, brackets.py, prices.py: JSON shapes of orders, accounts, leverage, market data.
- reporting.py: tells records and user streams. events.py: shapes of user data events.
"""
