"""Redis: an engine for the sim world, a real server for the real one, one control surface and one contract suite."""
