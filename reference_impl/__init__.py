"""The resilience patches, as a reference. It imports nothing else of the project: lift out what you need."""
