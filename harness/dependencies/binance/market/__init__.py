"""The exchange's market, pure: symbols, book, orders, accounts. `venue.Venue` is the only entrance.

- venue.py: endpoints by name, and the hooks of faults and control.
- symbols.py: instruments and their public filters; listing.py: exchangeInfo.
- book.py: one symbol's liquidity: levels around a mid price, taken by takers, back after a while.
- request.py: an order's parameters, checked. orders.py: the orders there are. matching.py: what happens to them.
- futures.py: positions and margin. spot.py: free and locked balances.
- views.py: JSON shapes of orders and accounts. events.py: of user data events. prices.py: of market data.
"""
