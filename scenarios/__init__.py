"""One file per named scenario. A module here with a `SCENARIO` is found by `harness list`."""
