"""The readiness of patches in words: one row a patch, the same in every format."""

from dataclasses import dataclass

from harness.verdict import PatchReadiness, Session, patch_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessRow:
    """One patch as a table shows it."""

    patch: str
    is_ready: bool
    is_required: bool
    word: str
    worlds: str
    runs: str
    invariants: str
    variants: str
    reasons: tuple[str, ...]


def readiness_rows(session: Session) -> tuple[ReadinessRow, ...]:
    """Return a row for each patch that a gate judged; none for other sessions."""
    return tuple(_row(one) for one in session.readiness)


def not_required(session: Session) -> str:
    """Return the patches that are not ready and need not be, or nothing."""
    names = [
        f"{patch_name(one.patch)} ({one.priority})"
        for one in session.readiness
        if not (one.is_ready or one.is_required)
    ]
    return f" Not ready, and not required: {', '.join(names)}." if names else ""


def _row(one: PatchReadiness) -> ReadinessRow:
    word = "ready" if one.is_ready else "not ready"
    return ReadinessRow(
        patch=f"{patch_name(one.patch).removeprefix('patch ').removesuffix(' patches')} {one.priority}",
        is_ready=one.is_ready,
        is_required=one.is_required,
        word=word if one.is_required else f"{word} (not required)",
        worlds=", ".join(one.worlds) or "none",
        runs=f"{one.passed:,} of {one.runs:,}",
        invariants=f"{one.invariants} of {one.invariants_total}",
        variants=f"{one.caught} of {one.variants}",
        reasons=one.reasons,
    )
