"""The parts of patch 10. `machine`, `verdict` and `alerts` are pure: time is passed in, decisions come out."""
