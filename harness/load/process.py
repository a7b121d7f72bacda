"""What a Locust process of the harness is started with: `python -m harness.load.process`, arguments as of `locust`.

Locust itself, with the plumbing in place before any locustfile is read, and with an error that ends it told to the host
process in one line: by itself it would leave a traceback and exit code 1, which it also gives for failed requests.
"""

import locust  # first: it has gevent patch the standard library

# isort: split
import os
import sys

import locust.log
import locust.main

from harness.load import wire
from harness.load.plumbing import Plumbing
from harness.load.sinks import UNHANDLED, one_line


def main() -> None:
    """Run Locust; never returns."""
    assignment, reports = (int(one) for one in os.environ.pop(wire.DESCRIPTORS).split(","))
    for descriptor in (assignment, reports):
        if descriptor >= 0:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - lest what a locustfile starts keep the pipe open
    plumbing = Plumbing.in_place(assignment, reports)
    try:
        locust.main.main()
    except SystemExit as ended:
        if locust.log.unhandled_greenlet_exception:
            plumbing.reports.failed(UNHANDLED)
        sys.exit(ended.code)
    except BaseException as error:
        plumbing.reports.failed(one_line(error))
        raise


if __name__ == "__main__":
    main()
