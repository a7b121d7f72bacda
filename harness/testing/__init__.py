"""What the pytest plugin's fixtures and marker are made of, a module each."""
