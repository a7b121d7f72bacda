"""The real world: processes, sockets and signals on this machine. `world.py` is the way in.

world.py         RealWorld, what the director drives; dependencies and hosts in the order of their start
host_process.py  one incarnation of a host, as the harness sees it: asked for, observed, ended
host_main.py     the same from inside: the process that runs the program
wire.py          what the two say to each other;  pipes.py  the pipes on which they say it
links.py         what happens on a host's connections, observed below the target
proxies.py       every host's way to every dependency: a proxy of its own;  host_link.py  the same as faults see it
proxy_server.py  what is asked of a proxy server, and the embedded one;  foreign_proxy.py  one that is not ours
proxy_api.py     the API of either, by toxiproxy-python;  socket_counts.py  what the kernel tells of their connections
process.py       children that cannot outlive the run;  launch.py, guard.py  two reasons why
leftovers.py     finding and ending what remains if all of that was killed
"""
