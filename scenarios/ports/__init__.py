"""The ports: what a target must offer to be put under a scenario, one module each.

A target is any object of the shape.
"""
