"""What can be done to the bytes of a connection: pure state machines that know neither sockets nor clocks.

A `Toxic` is a declaration (type and attributes, Toxiproxy's vocabulary and our extensions). On every connection it
becomes a `Stage` in one direction; the stages of a direction, in the order in which their toxics were created, are a
`Pipe`; both pipes of a connection are its `Conduit`. Time is passed in, output is returned, chance comes from `Dice`.

Two thin shells run conduits: the proxy of the real world (harness/toxiproxy) between two sockets, and the network of
the sim world between two endpoints. So one fault does the same in both worlds, by being the same code.
"""
