"""Any sequence of batches, repetitions, late ones, snapshots, deaths and starts, beside a small rational model."""

import asyncio
import shutil
import tempfile
from fractions import Fraction
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reference_impl.portfolio import Portfolio

SYMBOLS = ("BTCUSDT", "XRPUSDT")
HOSTILE = ("0.1", "0.3", "0.7", "60000.1", "0.0000001", "3")


class Model:
    """The definition: per symbol, trades by id, each unit of a sale against the oldest unit that is left."""

    def __init__(self):
        self.trades = {}
        self.flows = {}

    def figures(self):
        """Positions (amount, cost, realised), and fees by asset."""
        positions, fees = {}, {}
        for (symbol, _), (traded, price, fee, asset) in sorted(self.trades.items()):
            amount = traded
            queue, realised = positions.setdefault(symbol, ([], [Fraction(0)]))
            while queue and amount and queue[0][0] * amount < 0:
                closed = -amount if abs(amount) < abs(queue[0][0]) else queue[0][0]
                realised[0] += closed * (price - queue[0][1])
                queue[0] = (queue[0][0] - closed, queue[0][1])
                amount += closed
                if not queue[0][0]:
                    queue.pop(0)
            if amount:
                queue.append((amount, price))
            fees[asset] = fees.get(asset, Fraction(0)) + fee
        return {
            symbol: (sum(held for held, _ in queue), sum(held * paid for held, paid in queue), realised[0])
            for symbol, (queue, realised) in positions.items()
        }, fees


class Bookkeeping(RuleBasedStateMachine):
    """A portfolio with a small window, so that every way of being late happens."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.lives = 0
        self.model = Model()
        self.known = {}
        self.next_id = dict.fromkeys(SYMBOLS, 1)

    @initialize()
    def begin(self):
        """The first life."""
        self.portfolio = Portfolio(self.folder / "0" / "p.sqlite3", window=3, snapshot_every=17)
        self.run(self.portfolio.start())

    def run(self, call):
        """Have it done."""
        return self.loop.run_until_complete(call)

    trades = st.lists(
        st.tuples(
            st.sampled_from(SYMBOLS),
            st.integers(1, 60),
            st.sampled_from(HOSTILE),
            st.booleans(),
            st.sampled_from(HOSTILE),
            st.sampled_from(["USDT", "BNB"]),
        ),
        min_size=1,
        max_size=8,
    )

    @rule(batch=trades)
    def apply(self, batch):
        """Trades with any ids: new ones and known ones, which are as they were."""
        entries, new = [], set()
        for symbol, trade_id, quantity, buy, price, asset in batch:
            if (symbol, trade_id) not in self.known:
                self.known[symbol, trade_id] = {
                    "symbol": symbol,
                    "id": trade_id,
                    "time": trade_id,
                    "side": "BUY" if buy else "SELL",
                    "qty": quantity,
                    "price": price,
                    "commission": price,
                    "commissionAsset": asset,
                }
                new.add((symbol, trade_id))
            entries.append(self.known[symbol, trade_id])
        applied = self.run(self.portfolio.apply(entries))
        assert (applied.new, applied.repeated) == (len(new), len(entries) - len(new))
        for key in new:
            one = self.known[key]
            amount = Fraction(one["qty"]) * (1 if one["side"] == "BUY" else -1)
            self.model.trades[key] = (
                amount,
                Fraction(one["price"]),
                Fraction(one["commission"]),
                one["commissionAsset"],
            )

    @rule(flow_id=st.integers(1, 9), kind=st.sampled_from(["TRANSFER", "FUNDING_FEE"]))
    def flow(self, flow_id, kind):
        """A transfer or funding, perhaps one that is known."""
        entry = {"incomeType": kind, "tranId": flow_id, "time": 1, "income": f"-{flow_id}.1", "asset": "USDT"}
        applied = self.run(self.portfolio.apply_income([entry]))
        assert applied.new == ((kind, flow_id) not in self.model.flows)
        self.model.flows[kind, flow_id] = Fraction(f"-{flow_id}.1")

    @rule()
    def snapshot(self):
        """Save."""
        self.run(self.portfolio.snapshot())

    @rule()
    def reopen(self):
        """Close, and begin again."""
        self.run(self.portfolio.close())
        self.portfolio = Portfolio(self.folder / str(self.lives) / "p.sqlite3", window=3, snapshot_every=17)
        self.run(self.portfolio.start())

    @rule(damage=st.sampled_from(["none", "torn", "gone"]))
    @precondition(lambda self: self.lives < 6)
    def die(self, damage):
        """What is on the disk at this moment is all that the next life has; its snapshot perhaps not even whole."""
        there = self.folder / str(self.lives)
        self.lives += 1
        here = self.folder / str(self.lives)
        shutil.copytree(there, here)
        self.run(self.portfolio.close())
        snapshot = here / "p.snapshot"
        if snapshot.exists() and damage == "torn":
            snapshot.write_bytes(snapshot.read_bytes()[:-9])
        elif damage == "gone":
            snapshot.unlink(missing_ok=True)
        self.portfolio = Portfolio(here / "p.sqlite3", window=3, snapshot_every=17)
        self.run(self.portfolio.start())

    @invariant()
    def figures_are_exact(self):
        """Digit for digit."""
        if not hasattr(self, "portfolio"):
            return
        figures = self.portfolio.figures()
        positions, fees = self.model.figures()
        said = {
            symbol: (Fraction(one.amount), Fraction(one.cost), Fraction(one.realised))
            for symbol, one in figures.positions.items()
        }
        assert said == positions
        assert {asset: Fraction(one) for asset, one in figures.fees.items()} == fees
        for kind, sums in (("TRANSFER", figures.deposits), ("FUNDING_FEE", figures.funding)):
            total = sum(one for (flow, _), one in self.model.flows.items() if flow == kind)
            assert Fraction(sums.get("USDT", 0)) == total

    def teardown(self):
        """Leave nothing."""
        if hasattr(self, "portfolio"):
            self.run(self.portfolio.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.folder)


Bookkeeping.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestBookkeeping = Bookkeeping.TestCase
