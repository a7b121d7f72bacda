"""The real world: processes, sockets and signals on this machine. `world.py` is the way in.

world.py         RealWorld, what the director drives; dependencies and hosts in the order of their start
host_process.py  one incarnation of a host, as the harness sees it: asked for, observed, ended
host_main.py     the same from inside: the process that runs the program
wire.py          what the two say to each other;  pipes.py  the pipes on which they say it
links.py         what happens on a host's connections, observed below the target
process.py       children that cannot outlive the run;  launch.py, guard.py  two reasons why
leftovers.py     finding and ending what remains if all of that was killed
"""
