"""What a misbehaving service answers, and what counts as proof of it."""

import pytest

from harness.faults import service
from harness.faults.network import Toxics
from harness.toxics.exchange.match import HttpMatch


def _toxics(mode: str, **options: str) -> Toxics:
    how = service.misbehaves("monitor", "risk", mode, **options).how[mode]
    assert isinstance(how, Toxics)
    return how


def test_it_is_a_fault_of_the_link_of_the_one_who_asks() -> None:
    """Named, placed, and with every mode unless some are chosen."""
    fault = service.misbehaves("monitor", "risk")
    assert (fault.name, fault.on) == ("service.misbehaves", "monitor->risk")
    assert fault.modes == service.MODES
    assert service.misbehaves("monitor", "risk", "drips", "no-json").modes == ("drips", "no-json")


@pytest.mark.parametrize(
    ("mode", "proof"),
    [(mode, "answered") for mode in service.MODES if mode not in ("hangs", "drips")]
    + [("hangs", "dropped_replies"), ("drips", "bytes")],
)
def test_its_proof_is_what_the_link_counted(mode: str, proof: str) -> None:
    """Only the effect of that mode counts: answers given, lost, or cut into drips."""
    assert _toxics(mode).proof == {proof}


def test_the_path_chooses_the_requests() -> None:
    """A service can fail to say how it is, and work."""
    (_, toxic) = _toxics("error-500", path="/health").toxics[0]
    assert isinstance(toxic, HttpMatch)
    assert (toxic.path, toxic.status) == ("/health", 500)


def test_unknown_modes_are_named() -> None:
    """With those that there are."""
    with pytest.raises(ValueError, match=r"unknown ways to misbehave \['explodes'\]; known: error-500"):
        service.misbehaves("monitor", "risk", "explodes")
