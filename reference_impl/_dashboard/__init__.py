"""The parts of `reference_impl.dashboard_ws`."""
