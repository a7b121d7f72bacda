"""The command line. `main` maps every outcome to an exit code; each command lives in a module of its own.

Modules that cost time to import (worlds, rich, reports) are imported by the command that needs them.
"""
