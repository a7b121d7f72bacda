"""What happened: typed events, how they are recorded, stored, and asked about."""
