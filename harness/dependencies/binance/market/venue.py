"""One market of the exchange behind one method: `Venue.call(endpoint, params, wall_ms)`; no I/O, no clock.

Authentication, limits and faults come before it; a request that gets here has been accepted. Parameters are the decoded
ones of query and body, without `signature`; unknown ones are ignored, as `timestamp` and `recvWindow`.

Endpoints by name (F: futures only, S: spot only), so that the routing table maps (method, path) to them:

    public    ping  time  exchange_info  depth  trades  agg_trades  klines  ticker_price  book_ticker  ticker_24hr
              avg_price (S)  premium_index (F)  funding_rate (F)  funding_info (F)  open_interest (F)
              mark_price_klines (F)  index_price_klines (F)
    trade     new_order  test_order  cancel_order  cancel_all
              modify_order  batch_orders  batch_modify  batch_cancel  countdown_cancel (F)
              leverage  margin_type  set_position_mode  set_multi_assets_mode (F)
    account   query_order  open_orders  all_orders  user_trades (spot: myTrades)  commission_rate
              account (spot; futures v2)  account_v3 (F)  balance (F, v2)  balance_v3 (F)
              position_risk (F, v2)  position_risk_v3 (F)  open_order  leverage_bracket  position_mode
              multi_assets_mode  income  account_config  symbol_config  adl_quantile  api_trading_status  (all F)
    stream    new_listen_key  keep_listen_key  close_listen_key

Interface:

    Venue(market, settings, *, record, streams: streams.UserStreams)
    .limits                                     tuple[Limit, ...] that exchange_info says; assign when they change
    .call(endpoint, params, wall_ms, *, move_bps=0) -> Outcome    (move_bps: what a `price_move` arm that hits does)
    .thin(symbols, factor, refill_ms, wall_ms)  .restore(symbols, wall_ms)        (`thin_book`; no symbols: all)
    .set_price(symbol, price, wall_ms)  .refill(symbols, wall_ms)                 (control API)
    .advance(wall_ms)                           what time alone does: orders that expire; `call` does it, too
    .ledger() -> dict                           all the truth there is, as plain JSON values

`call` raises `gate.errors.Reject`. `Outcome.payload` is JSON-able, or `bytes` that are JSON already.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to. `payload`: JSON-able, or `bytes` that are JSON already (cached answers).

    - `order_id`, `client_id`: the order that it placed, changed or cancelled (of several, the first).
    - `executed`: it took effect on orders.
    - `fills`: how many fills it made; `worse`: a thin book or a price move made them worse, or left the order short.
    """

    payload: Any
    order_id: int = 0
    client_id: str = ""
    executed: bool = False
    fills: int = 0
    worse: bool = False
