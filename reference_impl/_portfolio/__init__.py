"""Patch 5 inside: exact figures, books of lots, the journal, the snapshot, and the comparison with the exchange."""
