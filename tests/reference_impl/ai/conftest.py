"""An engine on small models, a clock that a test sets, and executors: inline, or one in which a model can hang."""

import asyncio

import pytest

from reference_impl._ai.candles import generate
from reference_impl.ai_engine import AiEngine, Options

HISTORY = 120


class Clock:
    """Time as a test has it."""

    def __init__(self):
        self.now_ms = 1_700_000_000_000

    def wall_ms(self):
        return self.now_ms

    def monotonic_s(self):
        return self.now_ms / 1000


class Inline:
    """Runs everything at once on the loop's own thread; what raises `Hang` never comes back."""

    class Hang(Exception):  # noqa: N818
        """Stands for a call that does not return."""

    async def __call__(self, task, function, /, *args):
        try:
            return function(*args)
        except Inline.Hang:
            await asyncio.get_running_loop().create_future()


class Around:
    """A model in whose place `predict` does something else."""

    def __init__(self, model, predict):
        self.version = model.version
        self.predict = lambda *_: predict()


@pytest.fixture(scope="session")
def candles():
    """A market, longer than any test needs."""
    return generate(5, 600)


@pytest.fixture
def clock():
    """A clock that stands still until told."""
    return Clock()


@pytest.fixture
def make_engine(tmp_path, clock, candles):
    """Return what makes engines over one file, trained, and closes them all."""
    engines = []

    async def make(*, train=True, **options):
        settings = {"models": "small", "window": 30, "predict_limit_s": 0.05, "stuck_after": 4, "folds": 0} | options
        engine = AiEngine(tmp_path / "ai.sqlite3", executor=Inline(), options=Options(**settings), clock=clock)
        engines.append(engine)
        await engine.start()
        if train:
            await engine.train(candles[:HISTORY])
        return engine

    yield make
    for engine in engines:
        engine._ledger.close()


@pytest.fixture
def feed(candles):
    """Return what feeds an engine candles with the outcomes of the ones before; it returns all predictions."""

    async def run(engine, count, first=0):
        made = []
        for number in range(first, first + count):
            at = HISTORY + number
            predictions = await engine.on_candle(candles[at])
            made.append(predictions)
            rose = round((candles[at + 1].close / candles[at].close - 1) * 1e6)
            await engine.on_outcomes({one.id: rose for one in predictions})
        return made

    return run


@pytest.fixture(scope="session")
def around():
    """Return what puts something around a model's place."""
    return lambda predict: lambda model: Around(model, predict)


@pytest.fixture(scope="session")
def hang():
    """What a model raises to never come back."""
    return Inline.Hang
