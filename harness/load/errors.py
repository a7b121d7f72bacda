"""What goes wrong with a load by itself, whatever the target does."""

from harness.errors import WorldError


class LocustError(WorldError):
    """Locust is not there, did not come up, or did not stay well. The text is one line."""
