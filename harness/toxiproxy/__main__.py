"""`python -m harness.toxiproxy`: the same as `harness toxiproxy`."""

import sys

from harness.cli.main import main

if __name__ == "__main__":
    main(["toxiproxy", *sys.argv[1:]])
