"""What a session did not cover: what was simulated, what was real, what was left out and why."""

from harness.verdict import Session

_WORLD_TEXTS = {
    "sim": "Simulated (sim world): time, network, disk latency, process death and the server side of each dependency. "
    "The target and its client libraries ran unmodified.",
    "real": "Real (real world): processes, sockets, signals, clocks and the servers of the dependencies, all on one "
    "machine. Real distances, kernels under memory pressure and hardware faults were not exercised.",
}
_WORLD_MISSING = {
    "sim": "Not run: the sim world. No run of this session can be repeated bit for bit.",
    "real": "Not run: the real world. Real processes, kernel sockets and real servers were not exercised.",
}


def not_covered_of(session: Session) -> tuple[str, ...]:
    """Return it, a sentence each."""
    worlds = {run.world for run in session.runs}
    texts = [_WORLD_TEXTS[world] for world in _WORLD_TEXTS if world in worlds]
    texts += [_WORLD_MISSING[world] for world in _WORLD_MISSING if world not in worlds]
    if left_out := dict.fromkeys(name for run in session.runs for name in run.left_out):
        texts.append(f"Left out, as the servers that were given do not allow it: {', '.join(left_out)}.")
    texts += [f"Not done for want of time, and not required: {text}." for text in session.omitted]
    if session.runs and not session.flawed:
        texts.append("Not run: flawed variants. This session does not show that its invariants can fail.")
    return tuple(texts)
