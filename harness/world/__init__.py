"""Where a scenario runs: the sim world (one process, virtual time) or the real one (processes, sockets, signals)."""
