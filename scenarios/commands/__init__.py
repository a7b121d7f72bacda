"""Targets that are programs of their own, in any language: started by a host, driven over HTTP.

`harness/docs/target.md` has the protocol. `program.py` starts and ends such a program, `relay.py` leads its connections
through the host, and there is a module for each port that can be driven this way.
"""
