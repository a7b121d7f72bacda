"""The parts of the emergency stop; `reference_impl.ess` puts them together."""
