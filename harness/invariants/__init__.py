"""What must hold: pure functions of a history, and the needs that keep a run from passing idle."""
