"""What can go wrong with hosts; the faults of a dependency are with the dependency. `base.py` says what a fault is."""
