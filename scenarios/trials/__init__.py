"""A conversation for each port, in which nothing is broken: `harness conform` holds it with a target."""
