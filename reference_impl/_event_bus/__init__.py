"""The parts of `reference_impl.event_bus`, one subject a module; import the public face instead.

`modes` decides (pure), `lane` and `recovery` carry the decisions out, `buffer` and `tail` keep what Redis may not have,
`link` speaks to Redis, `reach` spares it needless knocks, `consumer`, `handling` and `watermarks` deliver.
"""
