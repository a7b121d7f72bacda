"""How the executor of signals works: see `reference_impl.executor`."""
