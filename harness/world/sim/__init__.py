"""The sim world: one process, virtual time, an in-memory network, every choice drawn from the tape.

`run.py` is the way in and `world.py` what the director drives. Below them a small simulated kernel stands under the
selector loop of asyncio itself: `clockwork.py` (time and turns), `schedule.py` (order of ready callbacks),
`network.py` and `endpoint.py` (TCP), `hosts.py` (machines that are killed and frozen). Around them, `sources.py`
makes clocks and dice virtual, `escapes.py` turns every way out into an error that names the line, and `trace.py`
digests what happened.
"""
