"""The guard in front of the services' HTTP APIs: who may call, how much, how often; and what is said of a refusal."""
