"""What targets talk to. One package a kind: how it starts in either world, its control surface, its faults."""
