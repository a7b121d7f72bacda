"""Load of the real world by Locust: a host whose program is a Locust of one or more processes.

A scenario declares it once for both worlds: `HostSpec(program=..., load=LocustLoad(...))`. In the sim world the program
runs, hundreds of simulated clients in one task tree. In the real world the same host is a Locust, headless:

    harness -- host process (host.py) -+- one Locust process, or
                                       +- a master, and workers here (and, if there are to be any, elsewhere), or
                                       +- workers here, of a master that somebody else has started (foreign.py)

Whoever asks for something asks the host process, and the Locust processes are its children in its process group: a
SIGKILL or SIGSTOP meets them all, none outlives it, and they reach dependencies through this host's proxies.

| module | where it runs |
|---|---|
| spec.py, wire.py | everywhere: data |
| host.py | in the host process: starts Locust, hands on what it reports, and knows whether it is well |
| process.py | what a Locust process is started with |
| plumbing.py and all else | in Locust's processes, under gevent, which nothing outside of them imports |

What users record goes from workers to the master as messages of Locust's own, so it does from other machines too; from
the master through a pipe to the host process, and from there into the history. When the host is killed, the end of that
may be missing: what is in the pipe, milliseconds, and with workers what one has recorded in its last `worker.FLUSH_S`.

Locust's own troubles are errors of the harness, never a verdict about the target: a process that ends unasked or with a
code, a worker that is lost, a user's code that raises, fewer users than were asked for. *Failed requests are none of
them* (Locust is told `--exit-code-on-error 0`): under an injected fault requests fail, and what that means is for the
invariants to say, from the history.

Observations of a load host, besides what its users record:

- `load_users` {users, wanted, workers}: how many users there are, of how many, in how many worker processes (1 if there
  is no master); whenever one of them has changed, looked at each `chief.LOOK_S`.
- `load_requests` {method, name, requests, failures, p50_ms, p90_ms, p99_ms, max_ms}: one kind of request since Locust's
  start; with name `Aggregated`, all of them. Every `chief.STATISTICS_S`, and at the end. Response times are
  milliseconds as Locust has them, which rounds to two digits.
- `load_failures` {method, name, error, count}: what requests of a kind failed of, at the end.
- `load_worker` {worker, users, requests, failures, here, clock_error_ns}: what one worker process did, at the end.
  `here` says that it ran on this machine; another's clock was compared over the network, `clock_error_ns` at most off.
"""
