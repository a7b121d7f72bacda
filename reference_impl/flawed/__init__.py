"""Negative controls: targets with one known defect each, which the invariants must catch."""
