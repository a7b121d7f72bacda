"""Campaigns on a Dask cluster: two workers as processes on loopback; and every way in which it is not there."""

import importlib
import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from harness import apart
from harness.campaign import Limits, Single, conduct
from harness.cluster import _Watch, cluster, parse_address
from harness.errors import UsageError, WorldError
from harness.registry import discover
from harness.runner import Order
from harness.targets import choose
from harness.verdict import CRASHED, Verdict
from tests.harness.campaign_log import Log

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("apart"), pytest.mark.filterwarnings("ignore")]

SCENARIO = "binance-ban"


@dataclass(frozen=True)
class Running:
    """A scheduler and its workers, each a process of its own."""

    address: str
    workers: list[subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A scheduler and two workers on loopback, without dashboards and without nannies that would start others."""
    folder = tmp_path_factory.mktemp("dask")
    told = folder / "scheduler.json"

    def start(kind, *words):
        command = [
            sys.executable,
            "-m",
            f"distributed.cli.dask_{kind}",
            "--no-dashboard",
            "--host",
            "127.0.0.1",
            *words,
        ]
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    scheduler = start("scheduler", "--port", "0", "--scheduler-file", str(told))
    workers = []
    try:
        while not (told.exists() and told.read_text()):
            assert scheduler.poll() is None
            time.sleep(0.05)
        place = json.loads(told.read_text())["address"]
        workers += [start("worker", place, "--no-nanny", "--nthreads", "1", "--death-timeout", "60") for _ in range(2)]
        with importlib.import_module("distributed").Client(place, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield Running(place.replace("tcp://", "dask://"), workers)
    finally:
        for one in (*workers, scheduler):
            one.kill()
            one.wait()
        apart.end_children()


@pytest.fixture(scope="module")
def address(running):
    return running.address


def order_of(folder, *wishes, seed=1):
    scenario = discover()[SCENARIO]
    return Order(
        scenario=scenario, profile="short", world="sim", seed=seed, targets=choose(scenario, wishes), folder=folder
    )


def test_seeds_on_a_cluster_come_out_as_they_do_here(address, tmp_path):
    """The same traces as in a child of ours; the failing one's history is in our run folder."""
    jobs = [
        Single(order=order_of(tmp_path, seed=1)),
        Single(order=order_of(tmp_path, "binance:planned", seed=2), keep_history=False),
    ]
    with cluster(address) as farm:
        assert farm.width == 2
        done = conduct(jobs, Limits(), Log(), farm=farm)
    assert [one.verdict for one in done.runs] == [Verdict.PASS, Verdict.FAIL]
    here = apart.unpack(jobs[0], apart.perform_apart(apart.parcel_of(jobs[0], None)))
    assert done.runs[0].trace_digest == here.trace_digest
    assert done.runs[1].history is not None
    assert done.runs[1].history.startswith(str(tmp_path / "histories"))


def test_workers_that_are_lost_are_no_pass(address, running, tmp_path, monkeypatch):
    """Both are killed under a run: an ERROR, said as what it is, for all that is left; nor does another begin."""
    monkeypatch.setattr("harness.cluster._GONE_S", 0.5)
    jobs = [Single(order=order_of(tmp_path, seed=seed)) for seed in (1, 2, 3)]

    class Killing(Log):
        def began(self, job):
            super().began(job)
            if job.order.seed == 2:
                for worker in running.workers:
                    worker.kill()

    with cluster(address) as farm:
        done = conduct(jobs, Limits(), Killing(), farm=farm)
    assert [one.verdict for one in done.runs] == [Verdict.ERROR] * 3
    assert {one.lost for one in done.runs} == {CRASHED}
    assert "the cluster has no worker any more" in done.runs[0].errors[0]

    with pytest.raises(WorldError, match="the cluster has no worker"), cluster(address):
        pass


def test_a_scheduler_that_does_not_answer_is_a_harness_error(monkeypatch):
    """Before anything is run, in one line."""
    monkeypatch.setattr("harness.cluster._CONNECT_S_MAX", 0.3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    refused = pytest.raises(WorldError, match=rf"dask://127.0.0.1:{port}: no scheduler answers there")
    with refused, cluster(f"dask://127.0.0.1:{port}"):
        pass


def test_without_the_extra_it_is_named(monkeypatch):
    """How to get it is said."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    refused = pytest.raises(UsageError, match=r"extra `dask`: pip install 'trading-chaos-harness\[dask\]'")
    with refused, cluster("dask://h:1"):
        pass


@pytest.mark.parametrize("address", ["dask://h", "tcp://h:1", "h:1", "dask://h:x", "dask://h:1/x", "dask://:1", ""])
def test_what_is_no_address_is_refused(address):
    """In one line that shows the form."""
    with pytest.raises(UsageError, match="not of the form dask://host:port"):
        parse_address(address)
    assert parse_address("dask://[::1]:8786") == "tcp://[::1]:8786"


def test_a_cluster_without_a_scheduler_is_given_up_in_time(monkeypatch):
    """Not at the first hiccup, and not never."""

    class Client:
        status = "connecting"

    now = iter([0.0, 10.0, 16.0])
    monkeypatch.setattr("harness.cluster.time", SimpleNamespace(monotonic=lambda: next(now)))
    watch = _Watch(Client())
    assert [watch.gone() for _ in range(3)] == ["", "", "the cluster's scheduler is gone"]
