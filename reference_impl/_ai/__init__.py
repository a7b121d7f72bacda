"""The parts of the AI engine (patch 4): models, their guard, the record of their hits, and what is reported of it."""
