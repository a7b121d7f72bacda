"""The hash of a declaration: the same wherever it is computed, another for whatever changes what a run is."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from harness.declaration import declaration_hash
from harness.invariants.needs import at_least
from harness.scenario import DependencySpec, during
from harness.units import seconds
from harness.world.base import HostSpec
from harness.worlds import Options

SHOW = """
from harness.declaration import declaration_hash
from harness.registry import discover
from harness.worlds import Options
for name, scenario in discover().items():
    for profile in scenario.profiles:
        print(name, profile, declaration_hash(scenario, profile, "sim", Options()))
"""


def hashed(scenario, profile="full", world="sim", options=None):
    return declaration_hash(scenario, profile, world, options or Options())


@pytest.mark.real
def test_every_process_comes_to_the_same_hashes():
    """Every scenario there is, under two seeds of the interpreter's own hash, in two processes."""
    said = [
        subprocess.run(
            [sys.executable, "-c", SHOW],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert len(set(said[0].splitlines())) == len(said[0].splitlines()) > 20
    hashes = [line.split()[-1] for line in said[0].splitlines()]
    assert len(set(hashes)) == len(hashes)


def test_what_a_run_is_decides(make_scenario, outage, answered):
    """Schedule, bounds, hosts, what programs are made with, dependencies, limits, size, world and its options."""
    plain = make_scenario()
    full = plain.profiles["full"]

    def sized(**changes):
        return replace(plain, profiles={"full": replace(full, **changes)})

    def program(rate):
        async def publish(host):
            await host.stopping()
            return rate

        return HostSpec(name="publisher", program=publish)

    others = [
        sized(schedule=(during(seconds(2), seconds(4), outage()),)),
        sized(schedule=(during(seconds(2), seconds(3), outage(modes=("refuse",))),)),
        sized(settle_ns=seconds(2)),
        sized(needs=(at_least(4, "publish"),)),
        sized(options={"redis": {"aof": True}}),
        sized(hosts=(program(1),)),
        sized(hosts=(program(2),)),
        replace(plain, dependencies=(DependencySpec(name="redis", kind="redis", options={"persistence": "aof"}),)),
        replace(plain, invariants=(answered(statement="nearly every publish is answered"),)),
        replace(plain, name="another"),
    ]
    hashes = [hashed(one) for one in (plain, *others)]
    hashes += [hashed(plain, "short"), hashed(plain, world="real")]
    hashes.append(hashed(plain, world="real", options=Options(redis="redis-server")))
    assert len(set(hashes)) == len(hashes)


def test_what_is_no_part_of_a_run_does_not(make_scenario):
    """Titles, variants, targets, other sizes, and options of a world that is not this one."""
    plain = make_scenario()
    same = replace(plain, title="other", flawed=(), ports={"event_bus": "json:loads"}, patch=2, priority="P2")
    same = replace(same, profiles={"full": plain.profiles["full"]})
    assert hashed(plain) == hashed(same) == hashed(plain, options=Options(redis="redis-server"))


def test_a_circle_ends(make_scenario):
    """Objects that hold each other have a hash as well."""
    held: dict[str, object] = {}
    held["self"] = held
    circle = make_scenario(dependencies=(DependencySpec(name="redis", kind="redis", options=held),))
    assert hashed(circle) != hashed(make_scenario())
