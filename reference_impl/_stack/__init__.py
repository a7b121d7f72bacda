"""The services of the stack (`stack.py`): each a decision core without I/O, where it decides anything, and a shell."""
